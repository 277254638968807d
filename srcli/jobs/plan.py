"""Plan the output of each input, before any work."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from srcli.errors import UsageError
from srcli.jobs.conflicts import ExistingResults, resolve_conflicts
from srcli.jobs.discover import Source
from srcli.jobs.job import ANIMATION, CLIP, FRAMES, Job, Settled, State, is_moving
from srcli.jobs.naming import NamePattern, shortened
from srcli.media import format_of_name, suffix_of
from srcli.media.formats import FORMATS
from srcli.media.video.animation_read import is_animation
from srcli.media.video.names import (
    WRITABLE,
    begins_as_clip,
    clip_suffix,
    is_clip_name,
    is_sequence,
    is_written,
)
from srcli.url_paths import UrlPath

__all__ = [
    "default_folder",
    "frames_job",
    "plan_jobs",
]

_KEPT = ExistingResults()
_LONGEST_SUFFIX = 5
_ANIMATED = (".gif", ".webp", ".png", ".apng")
_KEEP_MOVING = ("webp", "png")  # formats in which a GIF stays what it is
_FALLBACK = "png"  # for a file whose suffix is no image's: it holds whatever is inside


def plan_jobs(
    sources: Sequence[Source],
    output: Path | None,
    *,
    label: str,
    image_format: str | None,
    pattern: NamePattern | None = None,
    existing: ExistingResults = _KEPT,
    tell: Callable[[str], None] = lambda line: None,
    count: Callable[[str], None] = lambda what: None,
) -> list[Job]:
    """Name the output of every input; inputs that are results of others are left out.

    Inputs that are settled, and those that nothing can be made of, become settled jobs, last.

    Without `output`, a folder `NAME` becomes `NAME_x4/` beside it, with the same tree inside, and
    a file `STEM.EXT` becomes `STEM_x4.EXT` beside it. With `output`, everything goes into that
    folder; a single file may instead be given the very name of its result.

    Args:
        sources: The inputs.
        output: A folder, or an image's name for a single file; None for the default.
        label: The size in names: "x4".
        image_format: The format of all results; None goes by each name's suffix.
        pattern: Names of the results; None for the default.
        existing: What is known of results that exist, and whether to keep them.
        tell: Told what is left out.
        count: Told of each output that is planned, in words.

    Raises:
        UsageError: Two inputs would become one file, a result would replace an input, one name
            is given for several results, or the name is that of a clip which srcli cannot write.
    """
    if output is not None and _names_a_file(output) and not output.is_dir():
        if is_clip_name(output) and not is_written(output):
            raise UsageError(
                f"{output}: srcli writes {', '.join(WRITABLE)}; hint: name one of these"
            )
        if len(sources) != 1 or sources[0].root is not None:
            kind = "image" if format_of_name(output) else "clip"
            raise UsageError(f"{output} names one {kind}; hint: for several inputs name a folder")
        jobs = [_named_job(sources[0], output, image_format)]
    else:
        if output is not None and len(sources) == 1 and sources[0].root is None:
            _refuse_unknown_suffix(output)
        jobs = _planned(sources, output, label, image_format, pattern, count)
    settled = [job for job in jobs if job.settled]
    if settled:
        jobs = [job for job in jobs if not job.settled]
    return [*resolve_conflicts(jobs, existing, tell), *settled]


def _planned(
    sources: Sequence[Source],
    output: Path | None,
    label: str,
    image_format: str | None,
    pattern: NamePattern | None,
    count: Callable[[str], None],
) -> list[Job]:
    """The job of each input; one of which nothing can be made is settled, and stops no other.

    Raises:
        UsageError: Nothing can be made of any, or names by the pattern are none of their format.
    """
    several = len({source.root for source in sources}) > 1
    jobs: list[Job] = []
    errors: list[UsageError] = []
    for source in sources:
        count("outputs planned")
        place = _place(source, output, label, several=several)
        if source.settled is not None:
            jobs.append(Job(source.path, place[0], _FALLBACK, place[1], settled=source.settled))
            continue
        try:
            jobs.append(_only_images_stored(_job(source, *place, image_format, pattern)))
        except UsageError as error:
            if pattern is not None:
                raise
            errors.append(error)
            settled = Settled(State.FAILED, str(error))
            jobs.append(Job(source.path, place[0], _FALLBACK, place[1], settled=settled))
    if errors and len(errors) == len(sources):
        raise errors[0]
    return jobs


def _only_images_stored(job: Job) -> Job:
    """The job; settled if its result is a clip that would go into storage."""
    if not (is_moving(job) and isinstance(job.target, UrlPath)):
        return job
    reason = "clips and animations are written into folders of this machine only"
    return replace(job, settled=Settled(State.SKIPPED, reason))


def default_folder(folder: Path, label: str) -> Path:
    """Where the images of an input folder go if nothing else is said.

    >>> default_folder(Path("holiday/photos"), "x4").as_posix()
    'holiday/photos_x4'

    Raises:
        UsageError: There is nothing beside it.
    """
    named = folder.resolve() if folder.name in ("", "..") else folder
    if not named.name or (isinstance(named, UrlPath) and named.is_top):
        raise UsageError(f"{folder} has no folder beside it; hint: name an output folder with -o")
    return named.with_name(f"{named.name}_{label}")


def _job(
    source: Source,
    target: Path,
    base: Path | None,
    image_format: str | None,
    pattern: NamePattern | None,
) -> Job:
    """Settle the format, and the suffix by it unless it says so already."""
    moving = _moving_job(source, target, base, image_format, pattern)
    if moving is not None:
        return moving
    chosen = image_format or format_of_name(target) or _FALLBACK
    if format_of_name(target) != chosen:
        target = target.with_name(f"{target.stem}{suffix_of(chosen)}")
    if pattern is not None:
        target = target.with_name(pattern.name(source.path, target.suffix[1:]))
        if format_of_name(target) != chosen:
            raise UsageError(
                f"--name makes {target.name}, which is not the name of a {chosen} file: "
                "end it in .{ext}"
            )
    return Job(source.path, target.with_name(shortened(target.name)), chosen, base)


def _named_job(source: Source, output: Path, image_format: str | None) -> Job:
    """Plan the one job whose result the user has named.

    Raises:
        UsageError: The name and the format asked for, or the name and the input, do not agree.
    """
    if source.settled is not None:
        return Job(source.path, output, _FALLBACK, settled=source.settled)
    named = format_of_name(output)
    if image_format and named and named != image_format:
        raise UsageError(
            f"-o {output} and --format {image_format} do not agree; hint: -o "
            f"{output.with_suffix(suffix_of(image_format))}, or leave out --format"
        )
    job = _job(source, output, None, image_format, None)
    if is_moving(job) and isinstance(output, UrlPath):
        raise UsageError(
            f"-o {output}: clips and animations are written into folders of this machine only; "
            "hint: name a file here"
        )
    if not is_moving(job) and named is None:
        raise UsageError(
            f"-o {output}: a single image cannot be written as {output.suffix}; hint: end it in "
            f"{_image_suffixes()}"
        )
    return job


def _refuse_unknown_suffix(output: Path) -> None:
    """Refuse a name for a single result that is no folder's and whose suffix nothing here writes.

    Raises:
        UsageError: It is such a name.
    """
    suffix = output.suffix[1:]
    if suffix.isalnum() and not suffix.isdigit() and len(suffix) <= _LONGEST_SUFFIX:
        if output.is_dir():
            return
        raise UsageError(
            f"-o {output}: srcli cannot write .{suffix} files; hint: end it in "
            f"{_image_suffixes()}, or make the folder {output} first"
        )


def _image_suffixes() -> str:
    return ", ".join(map(suffix_of, FORMATS))


def _names_a_file(output: Path) -> bool:
    return format_of_name(output) is not None or is_clip_name(output)


def _moving_job(
    source: Source,
    target: Path,
    base: Path | None,
    image_format: str | None,
    pattern: NamePattern | None,
) -> Job | None:
    """The job of a clip or an animation; None for an image."""
    suffix = source.path.suffix.lower()
    animated = suffix in _ANIMATED and is_animation(source.path)
    if animated and target.suffix.lower() == ".apng":
        target = target.with_suffix(".png")
    if animated and suffix == ".gif" and image_format in _KEEP_MOVING:
        target, image_format = target.with_suffix(suffix_of(image_format)), None
    if animated and image_format is None and target.suffix.lower() in _ANIMATED:
        return Job(source.path, _renamed(source, target, pattern), ANIMATION, base)
    if not (animated and is_clip_name(target)) and not _is_clip(source):
        return None  # an image, or the first of an animation's in the format asked for
    if format_of_name(target) or target.suffix.lower() == ".gif":
        remedy = "--format png or webp" if suffix == ".gif" else "--frames-dir writes images"
        kind = image_format or target.suffix
        raise UsageError(f"{source.path} is a clip, which {kind} cannot hold; hint: {remedy}")
    target = _renamed(source, target.with_suffix(clip_suffix(target)), pattern)
    return Job(source.path, target, CLIP, base)


def _renamed(source: Source, target: Path, pattern: NamePattern | None) -> Path:
    """The target under the name that a pattern makes, which must keep its suffix; it fits."""
    if pattern is None:
        return target.with_name(shortened(target.name))
    renamed = target.with_name(pattern.name(source.path, target.suffix[1:]))
    if renamed.suffix.lower() != target.suffix.lower():
        raise UsageError(
            f"--name makes {renamed.name}, which is not a clip; hint: end it in .{{ext}}"
        )
    return renamed.with_name(shortened(renamed.name))


def frames_job(sources: Sequence[Source], folder: Path) -> Job:
    """The job that writes a clip's frames into a folder.

    Raises:
        UsageError: There is not exactly one input.
    """
    if len(sources) != 1:
        raise UsageError(f"--frames-dir {folder} takes one clip, {len(sources)} were given")
    return Job(sources[0].path, folder, FRAMES, settled=sources[0].settled)


def _is_clip(source: Source) -> bool:
    """By its name; by its content where it was named itself, and its name is no image's."""
    path = source.path
    if is_sequence(path) or (is_clip_name(path) and path.suffix.lower() not in _ANIMATED):
        return True
    return source.root is None and format_of_name(path) is None and begins_as_clip(path)


def _place(
    source: Source, output: Path | None, label: str, *, several: bool
) -> tuple[Path, Path | None]:
    """Where a result goes, with the input's own suffix; and the output folder it belongs to."""
    path = source.path
    if is_sequence(path):  # frames/%06d.png: named after its folder
        folder = path.resolve().parent
        return (output or folder.parent) / f"{folder.name}_{label}.mp4", output
    if source.root is None:
        return (output or path.parent) / f"{path.stem}_{label}{path.suffix}", output
    if output is None:
        base = default_folder(source.root, label)
        return base / path.relative_to(source.root), base
    inner = output / source.root.resolve().name if several else output
    return inner / path.relative_to(source.root), output
