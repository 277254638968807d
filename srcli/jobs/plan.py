"""Which file each input becomes, settled before any work."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import UsageError
from srcli.jobs.discover import Source
from srcli.media import is_picture_name, suffix_of

__all__ = ["Job", "output_root", "plan_jobs"]


@dataclass(frozen=True)
class Job:
    """One input and the file it becomes."""

    source: Path
    target: Path


def plan_jobs(
    sources: Iterable[Source], output: Path | None, *, scale: float, image_format: str | None
) -> list[Job]:
    """Name the output of every input.

    Without `output`, a folder `NAME` becomes `NAME_x4/` beside it, with the same tree inside, and
    a file `STEM.EXT` becomes `STEM_x4.EXT` beside it. With `output`, everything goes into that
    folder; a single file may instead be given the very name of its result.

    Args:
        sources: The inputs.
        output: A folder, or a picture's name for a single file; None for the default.
        scale: For the names.
        image_format: The format of all results; None keeps each file's own.

    Raises:
        UsageError: Two inputs would become one file, a result would replace an input, or one
            name is given for several results.
    """
    sources = list(sources)
    if output is not None and _names_a_file(output):
        if len(sources) != 1 or sources[0].root is not None:
            raise UsageError(f"{output} names one picture, but there are more inputs: name a folder")
        jobs = [Job(sources[0].path, _with_format(output, image_format))]
    else:
        several = len({s.root for s in sources}) > 1
        jobs = [
            Job(s.path, _with_format(_place(s, output, scale, several=several), image_format))
            for s in sources
        ]
    _refuse_collisions(jobs)
    return jobs


def output_root(folder: Path, scale: float) -> Path:
    """The default output folder of an input folder.

    >>> output_root(Path("holiday/photos"), 4).as_posix()
    'holiday/photos_x4'
    """
    resolved = folder.resolve() if folder.name in ("", "..") else folder
    return resolved.with_name(f"{resolved.name}_x{scale:g}")


def _names_a_file(output: Path) -> bool:
    return is_picture_name(output) and not output.is_dir()


def _place(source: Source, output: Path | None, scale: float, *, several: bool) -> Path:
    """Where a result goes, with the input's own suffix."""
    path = source.path
    if source.root is None:
        return (output or path.parent) / f"{path.stem}_x{scale:g}{path.suffix}"
    if output is None:
        base = output_root(source.root, scale)
    else:
        base = output / source.root.resolve().name if several else output
    return base / path.relative_to(source.root)


def _with_format(path: Path, image_format: str | None) -> Path:
    return path if image_format is None else path.with_suffix(suffix_of(image_format))


def _refuse_collisions(jobs: list[Job]) -> None:
    inputs = {job.source.resolve() for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        target = job.target.resolve()
        if target in inputs:
            raise UsageError(f"{job.target} is an input: name another output folder with -o")
        if target in taken:
            raise UsageError(
                f"{taken[target]} and {job.source} would both become {job.target}: "
                "upscale them into different folders"
            )
        taken[target] = job.source
