"""Weights: what there is, and reading it. Light to import; `load` brings torch."""

from srcli.weights.manifest import WeightsEntry, best_scale, box, manifest

__all__ = ["WeightsEntry", "best_scale", "box", "manifest"]
