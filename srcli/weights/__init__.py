"""Weights: what there is, and reading it. Light to import; `load` brings torch."""

from srcli.weights.choose import (
    best_scale,
    default_scale,
    fingerprint,
    is_from_outside,
    largest_scale,
    network_of,
    preparing,
    serving,
    stages,
)
from srcli.weights.local_files import fingerprint_of
from srcli.weights.manifest import (
    RECOMMENDED,
    better_than,
    by_quality,
    figure_of,
    how_to_get,
    known,
    manifest,
    needs_trust,
    recommended,
    require_extra,
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
    "default_scale",
    "figure_of",
    "fingerprint",
    "fingerprint_of",
    "how_to_get",
    "is_from_outside",
    "known",
    "largest_scale",
    "manifest",
    "needs_trust",
    "network_of",
    "preparing",
    "recommended",
    "require_extra",
    "runnable_networks",
    "serving",
    "stages",
    "weights_named",
]
