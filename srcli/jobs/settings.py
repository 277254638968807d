"""Every setting that changes what is in an output, as one text that can be compared."""

import json
from dataclasses import asdict, dataclass
from typing import cast

from srcli.defaults import QUALITY

__all__ = ["Settings", "difference"]


@dataclass(frozen=True)
class Settings:
    """Settings that change pixels or what is stored beside them.

    Automatic choices (device, precision, tile) are kept as `auto`: a batch begun on one machine
    can be finished on another. The version of srcli is written down with the run, but not
    compared.

    Args:
        model: The network.
        weights: sha256 of its weights.
        size: "x4", "w2000" and so on; see `TargetSize.label`.
        effort: A name, or ε as a number.
        precision: As asked for.
        device: As asked for.
        tile: As asked for.
        quality: Of lossy formats.
        metadata: "kept", "no-gps" or "stripped".
    """

    model: str
    weights: str
    size: str
    effort: str
    precision: str = "auto"
    device: str = "auto"
    tile: str = "auto"
    quality: int = QUALITY
    metadata: str = "kept"

    def text(self, image_format: str) -> str:
        """The settings of one output, as JSON with sorted keys."""
        return json.dumps(asdict(self) | {"format": image_format}, sort_keys=True)


def difference(old: str, new: str) -> str:
    """Differences between two settings texts, in words.

    >>> difference('{"effort": "fast", "size": "x4"}', '{"effort": "exact", "size": "x4"}')
    'effort fast, now exact'
    """
    before, after = json.loads(old), json.loads(new)
    keys = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    return "; ".join(f"{k} {_short(before.get(k))}, now {_short(after.get(k))}" for k in keys)


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "default"
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[object]", value)))
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
