"""Which file each input becomes, settled before any work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import UsageError
from srcli.jobs.discover import Source
from srcli.media import format_of_name, suffix_of
from srcli.media.video.names import clip_suffix, is_clip_name, is_sequence

__all__ = ["CLIP", "Job", "default_folder", "plan_jobs"]

CLIP = "clip"
"""In place of a picture's format: the job is a clip, and its suffix says which container."""

_FALLBACK = "png"  # for a file whose suffix is no picture's: it holds whatever is inside


@dataclass(frozen=True)
class Job:
    """One input and the file it becomes.

    Args:
        source: The input.
        target: The file it becomes.
        image_format: The format of that file, by which its suffix goes; `CLIP` for a clip.
    """

    source: Path
    target: Path
    image_format: str


def plan_jobs(
    sources: Sequence[Source], output: Path | None, *, scale: float, image_format: str | None
) -> list[Job]:
    """Name the output of every input.

    Without `output`, a folder `NAME` becomes `NAME_x4/` beside it, with the same tree inside, and
    a file `STEM.EXT` becomes `STEM_x4.EXT` beside it. With `output`, everything goes into that
    folder; a single file may instead be given the very name of its result.

    Args:
        sources: The inputs.
        output: A folder, or a picture's name for a single file; None for the default.
        scale: For the names.
        image_format: The format of all results; None goes by each name's suffix.

    Raises:
        UsageError: Two inputs would become one file, a result would replace an input, or one
            name is given for several results.
    """
    if output is not None and _names_a_file(output) and not output.is_dir():
        if len(sources) != 1 or sources[0].root is not None:
            kind = "picture" if format_of_name(output) else "clip"
            raise UsageError(f"{output} names one {kind}: for several inputs name a folder")
        jobs = [_job(sources[0], output, image_format)]
    else:
        several = len({source.root for source in sources}) > 1
        jobs = [
            _job(source, _place(source, output, scale, several=several), image_format)
            for source in sources
        ]
    _refuse_collisions(jobs)
    return jobs


def default_folder(folder: Path, scale: float) -> Path:
    """Where the pictures of an input folder go if nothing else is said.

    >>> default_folder(Path("holiday/photos"), 4).as_posix()
    'holiday/photos_x4'
    """
    named = folder.resolve() if folder.name in ("", "..") else folder
    return named.with_name(f"{named.name}_x{scale:g}")


def _job(source: Source, target: Path, image_format: str | None) -> Job:
    """Settle the format, and the suffix by it unless it says so already."""
    if is_clip_name(source.path) or is_sequence(source.path):
        return Job(source.path, target.with_suffix(clip_suffix(target)), CLIP)
    chosen = image_format or format_of_name(target) or _FALLBACK
    if format_of_name(target) != chosen:
        target = target.with_name(f"{target.stem}{suffix_of(chosen)}")
    return Job(source.path, target, chosen)


def _names_a_file(output: Path) -> bool:
    return format_of_name(output) is not None or is_clip_name(output)


def _place(source: Source, output: Path | None, scale: float, *, several: bool) -> Path:
    """Where a result goes, with the input's own suffix."""
    path = source.path
    if is_sequence(path):  # frames/%06d.png: named after its folder
        folder = path.resolve().parent
        return (output or folder.parent) / f"{folder.name}_x{scale:g}.mp4"
    if source.root is None:
        return (output or path.parent) / f"{path.stem}_x{scale:g}{path.suffix}"
    if output is None:
        base = default_folder(source.root, scale)
    else:
        base = output / source.root.resolve().name if several else output
    return base / path.relative_to(source.root)


def _refuse_collisions(jobs: list[Job]) -> None:
    inputs = {job.source.resolve() for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        target = str(job.target.resolve()).casefold()  # some file systems tell no case apart
        if job.target.resolve() in inputs:
            raise UsageError(f"{job.target} is an input: name another output folder with -o")
        if target in taken:
            raise UsageError(
                f"{taken[target]} and {job.source} would both become {job.target}: "
                "upscale them into different folders"
            )
        taken[target] = job.source
