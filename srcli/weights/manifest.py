"""Find weights: those srcli ships or knows of, a team's, and the user's own."""

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from srcli.errors import UnknownModel, UnknownScale
from srcli.weights.local_files import imports, is_here, record_of
from srcli.weights.manifest_file import Source, WeightsEntry, box, read_manifest

__all__ = [
    "RECOMMENDED",
    "best_scale",
    "better_than",
    "by_quality",
    "figure_of",
    "how_to_get",
    "known",
    "largest_scale",
    "manifest",
    "needs_trust",
    "network_of",
    "recommended",
    "runnable_networks",
    "weights_named",
]

_LARGEST = 4  # of the scales that networks here have

RECOMMENDED = "recommended"
"""Name of all recommended weights together, for `srcli weights download`."""


@cache
def manifest() -> tuple[WeightsEntry, ...]:
    """All weights that are shipped, or published elsewhere: the packaged manifest."""
    return read_manifest(box() / "manifest.toml")


def known() -> tuple[WeightsEntry, ...]:
    """The packaged manifest, those of `SRCLI_WEIGHTS_MANIFEST`, and everything imported.

    An entry of the same name replaces one from further left.

    Raises:
        WeightsError: A manifest cannot be read.
    """
    found = {entry.name: entry for entry in manifest()}
    told = os.environ.get("SRCLI_WEIGHTS_MANIFEST", "")
    theirs = [Path(one) for one in told.split(os.pathsep) if one]
    for path in [*theirs, *sorted(imports().glob("*.toml"))]:
        found.update({entry.name: entry for entry in read_manifest(path, path.absolute().parent)})
    return tuple(found.values())


def weights_named(name: str) -> tuple[WeightsEntry, ...]:
    """The entries that a person means by a name: an entry's, a variant's or a network's.

    Raises:
        UnknownModel: There are none.
    """
    entries = known()
    exact = tuple(entry for entry in entries if entry.name == name)
    found = exact or tuple(entry for entry in entries if entry.answers_to(name))
    if not found:
        have = ", ".join(entry.name for entry in entries)
        raise UnknownModel(f"no weights named {name!r} (have {have})")
    return found


def network_of(model: str) -> str:
    """The network that `-m model` runs: its own name, or that of the weights it names."""
    entries = [entry for entry in known() if entry.answers_to(model)]
    if not entries or any(model in (e.model, *e.also_for) for e in entries if not e.variant):
        return model
    return entries[0].model


def runnable_networks() -> frozenset[str]:
    """The networks there are weights for, here or to be downloaded."""
    entries = [entry for entry in known() if _usable(entry)]
    return frozenset(name for entry in entries for name in (entry.model, *entry.also_for))


def best_scale(model: str, scale: float) -> WeightsEntry:
    """The weights of `model` that serve `scale` best: the smallest scale that reaches it.

    A larger result is reduced afterwards, never enlarged.

    Args:
        model: A network, or weights by name.
        scale: Above 1.

    Raises:
        UnknownModel: There are no weights of that name, or for that network, or none but those
            that people have to get by hand first.
        UnknownScale: `scale` is not above 1, or beyond every scale there are weights for.
    """
    entries = _serving(model, scale)
    largest = entries[-1].scale
    if not 1 < scale <= largest:
        raise UnknownScale(
            f"scale {scale:g} is out of range: {model} goes from above 1 to {largest}"
            f"{_advice(scale)}"
        )
    return next(entry for entry in entries if entry.scale >= scale)


def _advice(scale: float) -> str:
    """Hint for a scale above those of all networks; "" where two runs do not reach it either."""
    if not 1 < scale <= _LARGEST**2:
        return ""
    return f"; hint: upscale twice: first -s {_LARGEST}, then its result by -s {scale / _LARGEST:g}"


def largest_scale(model: str) -> WeightsEntry:
    """The weights of `model` that make the largest images.

    Raises:
        UnknownModel: See `best_scale`.
    """
    return _serving(model, 1)[-1]


def _serving(model: str, scale: float) -> list[WeightsEntry]:
    """The weights that can run, by scale, for the network asked for; `scale` for the message."""
    named = [entry for entry in known() if entry.answers_to(model)]
    if not named:
        have = ", ".join(sorted({_short(entry) for entry in known() if _usable(entry)}))
        raise UnknownModel(
            f"no weights for a model named {model!r} (have {have}); hint: srcli weights list"
        )
    # Of one scale, weights made for this very network first.
    entries = sorted((e for e in named if _usable(e)), key=lambda e: (e.scale, e.model != model))
    if not entries:
        reaching = [entry for entry in named if entry.scale >= scale] or named
        how = how_to_get(min(reaching, key=lambda entry: entry.scale))
        raise UnknownModel(f"no weights for {model} here: {how}")
    return [_as_asked(entry, model) for entry in entries]


def recommended() -> tuple[WeightsEntry, ...]:
    """The weights that `srcli weights download recommended` means, the best first per scale."""
    return by_quality(entry for entry in known() if entry.recommended)


def by_quality(entries: Iterable[WeightsEntry]) -> tuple[WeightsEntry, ...]:
    """Entries by scale, the largest first, and of each scale the best first."""
    return tuple(sorted(entries, key=lambda entry: (-entry.scale, -figure_of(entry))))


def figure_of(entry: WeightsEntry) -> float:
    """PSNR-Y on Set5 in dB to rank weights by: as measured, else as published; 0 if neither."""
    return entry.psnr_y.get("Set5", entry.psnr_published.get("Set5", 0.0))


def better_than(entry: WeightsEntry) -> WeightsEntry | None:
    """The best recommended weights of the same scale that are better and not here.

    Returns:
        None if there are none, or better ones are here already.
    """
    alike = [other for other in known() if other.scale == entry.scale]
    better = [other for other in by_quality(alike) if figure_of(other) > figure_of(entry)]
    if any(is_here(other) for other in better):
        return None
    return next((other for other in better if other.recommended), None)


def how_to_get(entry: WeightsEntry) -> str:
    """One line that says what to do about weights that are not here."""
    if entry.source is Source.DOWNLOAD:
        trust = " --trust-first" if needs_trust(entry) else ""
        return f"{entry.name} is not here yet: srcli weights download {entry.name}{trust}"
    if entry.source is Source.BY_HAND:
        return (
            f"{entry.name} has no direct download: get {entry.page_file} from {entry.page}, then "
            f"srcli weights import {entry.page_file} --model {entry.model} --scale {entry.scale}"
        )
    if entry.source is Source.BOX:
        return "reinstall srcli to restore it"
    return f"import {entry.name} again, or srcli weights remove {entry.name}"


def needs_trust(entry: WeightsEntry) -> bool:
    """True if nothing is known yet by which a download could be verified."""
    return entry.converted and not entry.hash_published and record_of(entry) is None


def _usable(entry: WeightsEntry) -> bool:
    return entry.source is Source.DOWNLOAD or (
        bool(entry.sha256) and entry.source is not Source.BY_HAND
    )


def _short(entry: WeightsEntry) -> str:
    return entry.variant or entry.model


def _as_asked(entry: WeightsEntry, model: str) -> WeightsEntry:
    """The entry for the network asked for, where it serves several."""
    return replace(entry, model=model) if model in entry.also_for else entry
