"""Find weights: those srcli ships or knows of, a team's, and the user's own."""

import os
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from srcli.errors import UnknownModel, WeightsError
from srcli.extras import COMMUNITY_HINT, spandrel_is_here
from srcli.weights.local_files import downloads, imports, is_here, record_of
from srcli.weights.manifest_file import COMMUNITY, Source, WeightsEntry, box, read_manifest

__all__ = [
    "CATALOGUE",
    "RECOMMENDED",
    "better_than",
    "by_quality",
    "figure_of",
    "how_to_get",
    "known",
    "manifest",
    "needs_trust",
    "recommended",
    "require_extra",
    "runnable_networks",
    "usable",
    "weights_named",
]

CATALOGUE = "openmodeldb:"
"""Before the ID of a model of OpenModelDB, where a name of weights is asked for."""

RECOMMENDED = "recommended"
"""Name of all recommended weights together, for `srcli weights download`."""


@cache
def manifest() -> tuple[WeightsEntry, ...]:
    """All weights that are shipped, or published elsewhere: the packaged manifest."""
    return read_manifest(box() / "manifest.toml")


def known() -> tuple[WeightsEntry, ...]:
    """The packaged manifest, those of `SRCLI_WEIGHTS_MANIFEST`, and everything brought in.

    An entry of the same name replaces one from further left.

    Raises:
        WeightsError: A manifest cannot be read.
    """
    found = {entry.name: entry for entry in manifest()}
    told = os.environ.get("SRCLI_WEIGHTS_MANIFEST", "")
    theirs = [Path(one) for one in told.split(os.pathsep) if one]
    brought = [
        path for folder in (downloads(), imports()) for path in sorted(folder.glob("*.toml"))
    ]
    for path in [*theirs, *brought]:
        found.update({entry.name: entry for entry in _read_once(path, _version_of(path))})
    return tuple(found.values())


@lru_cache(maxsize=256)
def _read_once(path: Path, version: tuple[int, ...]) -> tuple[WeightsEntry, ...]:
    """The entries of a manifest beside its files, read again only when it has changed.

    A batch asks for weights image by image.
    """
    return read_manifest(path, path.absolute().parent)


def _version_of(path: Path) -> tuple[int, ...]:
    """Numbers that change with a file's content; none for one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


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


def runnable_networks() -> frozenset[str]:
    """The networks there are weights for, here or to be downloaded."""
    entries = [entry for entry in known() if usable(entry)]
    return frozenset(name for entry in entries for name in (entry.model, *entry.also_for))


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
        what = entry.page_file or "it"
        return (
            f"{entry.name} has no direct download: get {what} from {entry.page}, then "
            f"srcli weights import {entry.page_file or 'FILE'}{_named(entry)}"
        )
    if entry.source is Source.BOX:
        return "reinstall srcli to restore it"
    return f"import {entry.name} again, or srcli weights remove {entry.name}"


def _named(entry: WeightsEntry) -> str:
    """The options that tell an import what a file is."""
    if entry.model == COMMUNITY:
        return f" --name {entry.title}"
    return f" --model {entry.model} --scale {entry.scale}"


def require_extra(entry: WeightsEntry) -> None:
    """Refuse weights of a community network where spandrel is not installed.

    Raises:
        WeightsError: It is not.
    """
    if entry.model == COMMUNITY and not spandrel_is_here():
        raise WeightsError(
            f"{entry.title} is of an architecture of others, {entry.architecture or 'unnamed'}, "
            f"which needs spandrel; hint: {COMMUNITY_HINT}"
        )


def needs_trust(entry: WeightsEntry) -> bool:
    """True if nothing is known yet by which a download could be verified."""
    return entry.converted and not entry.hash_published and record_of(entry) is None


def usable(entry: WeightsEntry) -> bool:
    """Tell if weights can run once they are here, which they are or can be by themselves."""
    return entry.source is Source.DOWNLOAD or (
        bool(entry.sha256) and entry.source is not Source.BY_HAND
    )
