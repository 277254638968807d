"""Weights: what there is, and reading it. Light to import; `load` brings torch."""

from srcli.weights.local_files import fingerprint_of
from srcli.weights.manifest import (
    RECOMMENDED,
    best_scale,
    better_than,
    by_quality,
    clean_model,
    figure_of,
    fingerprint_of_model,
    how_to_get,
    known,
    largest_scale,
    manifest,
    needs_trust,
    network_of,
    photo_model,
    recommended,
    runnable_networks,
    weights_named,
)
from srcli.weights.manifest_file import Source, WeightsEntry, box

__all__ = [
    "RECOMMENDED",
    "Source",
    "WeightsEntry",
    "best_scale",
    "better_than",
    "box",
    "by_quality",
    "clean_model",
    "figure_of",
    "fingerprint_of",
    "fingerprint_of_model",
    "how_to_get",
    "known",
    "largest_scale",
    "manifest",
    "needs_trust",
    "network_of",
    "photo_model",
    "recommended",
    "runnable_networks",
    "weights_named",
]
