"""Which file each input becomes, settled before any work."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from srcli.errors import UsageError
from srcli.jobs.discover import Source
from srcli.jobs.naming import NamePattern, shortened
from srcli.media import format_of_name, suffix_of

__all__ = ["Job", "default_folder", "plan_jobs"]

_FALLBACK = "png"  # for a file whose suffix is no picture's: it holds whatever is inside


@dataclass(frozen=True)
class Job:
    """One input and the file it becomes.

    Args:
        source: The input.
        target: The file it becomes.
        image_format: The format of that file, by which its suffix goes.
        base: The output folder that it belongs to, with its tree; None: the one it lies in.
    """

    source: Path
    target: Path
    image_format: str
    base: Path | None = field(default=None, compare=False)

    @property
    def folder(self) -> Path:
        """The output folder that keeps the journal."""
        return self.base or self.target.parent

    @property
    def inside(self) -> Path:
        """Where the output is in that folder."""
        return self.target.relative_to(self.folder)


def plan_jobs(
    sources: Sequence[Source],
    output: Path | None,
    *,
    label: str,
    image_format: str | None,
    pattern: NamePattern | None = None,
) -> list[Job]:
    """Name the output of every input.

    Without `output`, a folder `NAME` becomes `NAME_x4/` beside it, with the same tree inside, and
    a file `STEM.EXT` becomes `STEM_x4.EXT` beside it. With `output`, everything goes into that
    folder; a single file may instead be given the very name of its result.

    Args:
        sources: The inputs.
        output: A folder, or a picture's name for a single file; None for the default.
        label: The size in names: "x4".
        image_format: The format of all results; None goes by each name's suffix.
        pattern: Names of the results; None for the default.

    Raises:
        UsageError: Two inputs would become one file, a result would replace an input, or one
            name is given for several results.
    """
    if output is not None and format_of_name(output) and not output.is_dir():
        if len(sources) != 1 or sources[0].root is not None:
            raise UsageError(f"{output} names one picture: for several inputs name a folder")
        jobs = [_job(sources[0], output, None, image_format, None)]
    else:
        several = len({source.root for source in sources}) > 1
        jobs = [
            _job(source, *_place(source, output, label, several=several), image_format, pattern)
            for source in sources
        ]
    _refuse_collisions(jobs)
    return jobs


def default_folder(folder: Path, label: str) -> Path:
    """Where the pictures of an input folder go if nothing else is said.

    >>> default_folder(Path("holiday/photos"), "x4").as_posix()
    'holiday/photos_x4'
    """
    named = folder.resolve() if folder.name in ("", "..") else folder
    return named.with_name(f"{named.name}_{label}")


def _job(
    source: Source,
    target: Path,
    base: Path | None,
    image_format: str | None,
    pattern: NamePattern | None,
) -> Job:
    """Settle the format, and the suffix by it unless it says so already."""
    chosen = image_format or format_of_name(target) or _FALLBACK
    if format_of_name(target) != chosen:
        target = target.with_name(f"{target.stem}{suffix_of(chosen)}")
    if pattern is not None:
        target = target.with_name(pattern.name(source.path, target.suffix[1:]))
        if format_of_name(target) != chosen:
            raise UsageError(
                f"--name makes {target.name}, which is no name of a {chosen} file: "
                "end it in .{ext}"
            )
    return Job(source.path, target.with_name(shortened(target.name)), chosen, base)


def _place(
    source: Source, output: Path | None, label: str, *, several: bool
) -> tuple[Path, Path | None]:
    """Where a result goes, with the input's own suffix; and the output folder it belongs to."""
    path = source.path
    if source.root is None:
        return (output or path.parent) / f"{path.stem}_{label}{path.suffix}", output
    if output is None:
        base = default_folder(source.root, label)
        return base / path.relative_to(source.root), base
    inner = output / source.root.resolve().name if several else output
    return inner / path.relative_to(source.root), output


def _refuse_collisions(jobs: list[Job]) -> None:
    inputs = {os.path.realpath(job.source) for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        there = os.path.realpath(job.target)
        target = unicodedata.normalize("NFC", there).casefold()  # some file systems see no
        if there in inputs:  # difference of case, others none of composition
            raise UsageError(f"{job.target} is an input: name another output folder with -o")
        if target in taken:
            raise UsageError(
                f"{taken[target]} and {job.source} would both become {job.target}: "
                "upscale them into different folders"
            )
        taken[target] = job.source
