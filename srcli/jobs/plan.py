"""Which file each input becomes, settled before any work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import UsageError
from srcli.jobs.discover import Source
from srcli.media import format_of_name, suffix_of
from srcli.media.video.animation import is_animation
from srcli.media.video.names import clip_suffix, is_clip_name, is_sequence

__all__ = [
    "ANIMATION",
    "CLIP",
    "FRAMES",
    "Job",
    "default_folder",
    "frames_job",
    "is_moving",
    "plan_jobs",
]

CLIP, ANIMATION, FRAMES = "clip", "animation", "frames"
"""In place of a picture's format: the job is no picture; a clip's suffix says which container, and
of frames the target is their folder."""

_ANIMATED = (".gif", ".webp", ".png")
_FALLBACK = "png"  # for a file whose suffix is no picture's: it holds whatever is inside


@dataclass(frozen=True)
class Job:
    """One input and the file it becomes.

    Args:
        source: The input.
        target: The file it becomes.
        image_format: The format of that file, by which its suffix goes; or `CLIP` and the like.
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
    moving = _moving_job(source, target, image_format)
    if moving is not None:
        return moving
    chosen = image_format or format_of_name(target) or _FALLBACK
    if format_of_name(target) != chosen:
        target = target.with_name(f"{target.stem}{suffix_of(chosen)}")
    return Job(source.path, target, chosen)


def _names_a_file(output: Path) -> bool:
    return format_of_name(output) is not None or is_clip_name(output)


def _moving_job(source: Source, target: Path, image_format: str | None) -> Job | None:
    """The job of a clip or an animation; None for a picture."""
    animated = source.path.suffix.lower() in _ANIMATED and is_animation(source.path)
    if animated and image_format is None and target.suffix.lower() in _ANIMATED:
        return Job(source.path, target, ANIMATION)
    if not (animated and is_clip_name(target)) and not _is_clip(source.path):
        return None  # a picture, or the first of an animation's in the format asked for
    if format_of_name(target) or target.suffix.lower() == ".gif":
        raise UsageError(f"{source.path} is a clip, {target} none: --frames-dir writes pictures")
    return Job(source.path, target.with_suffix(clip_suffix(target)), CLIP)


def frames_job(sources: Sequence[Source], folder: Path) -> Job:
    """The job that writes a clip's frames into a folder.

    Raises:
        UsageError: There is not exactly one input.
    """
    if len(sources) != 1:
        raise UsageError(f"--frames-dir {folder} takes one clip, {len(sources)} were given")
    return Job(sources[0].path, folder, FRAMES)


def is_moving(job: Job) -> bool:
    """Whether the job is a clip or an animation, not a picture."""
    return job.image_format in (CLIP, ANIMATION, FRAMES)


def _is_clip(path: Path) -> bool:
    return is_sequence(path) or (is_clip_name(path) and path.suffix.lower() != ".gif")


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
