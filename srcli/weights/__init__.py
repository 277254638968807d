"""Weights: what there is, and reading it. Light to import; `load` brings torch."""

from srcli.weights.entry import Source, WeightsEntry
from srcli.weights.manifest import (
    best_scale,
    how_to_get,
    known,
    largest_scale,
    manifest,
    network_of,
    runnable_networks,
    weights_named,
)
from srcli.weights.manifest_file import box

__all__ = [
    "Source",
    "WeightsEntry",
    "best_scale",
    "box",
    "how_to_get",
    "known",
    "largest_scale",
    "manifest",
    "network_of",
    "runnable_networks",
    "weights_named",
]
