"""Explains images one after the other, decoding the next meanwhile."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from srcli.errors import InputError, UsageError
from srcli.geometry import Size
from srcli.inference.choose_weights import choose_weights
from srcli.inference.report import Report
from srcli.inference.upscaler import Upscaler
from srcli.media import DecodedImage, read_image
from srcli.pipeline import StageResult, stream
from srcli.viz.files import MaskFiles, refuse_too_large, write_files
from srcli.viz.folder import refuse_foreign, write_folder
from srcli.viz.map_types import Explained
from srcli.viz.stats import DenseBaseline, MaskStats, stats_of

__all__ = ["Drawn", "MaskJob", "explain_images", "plan_folders"]


@dataclass(frozen=True)
class MaskJob:
    """An image and the folder for its maps."""

    source: Path
    target: Path
    request: Mapping[str, object] = field(default_factory=dict[str, object])
    """Settings and identity of the input, kept in the summary."""


@dataclass(frozen=True)
class Drawn:
    """Cost and statistics of an image.

    Args:
        report: What it took.
        stats: Its numbers.
        left_out: Further pages or frames of its file, which were not looked at.
    """

    report: Report
    stats: MaskStats
    left_out: int


def plan_folders(sources: Sequence[tuple[Path, Path | None]], output: Path | None) -> list[MaskJob]:
    """Name the folder of every image: `STEM_masks/`.

    It lies beside the image; or in `output`, where images found in a folder keep its tree.

    Args:
        sources: Images, and the folder on the command line that each was found in.
        output: Where the folders go.

    Raises:
        UsageError: Two images would share a folder, or `output` is a file.
    """
    if output is not None and output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; hint: name a folder for the results")
    jobs: list[MaskJob] = []
    taken: dict[str, Path] = {}
    several = len({root for _, root in sources}) > 1
    for path, root in sources:
        if output is None:
            base = path.parent
        elif root is None:
            base = output
        else:
            base = (output / root.resolve().name if several else output) / path.parent.relative_to(
                root
            )
        target = base / f"{path.stem}_masks"
        key = str(target.resolve()).casefold()
        if key in taken:
            raise UsageError(
                f"{taken[key]} and {path} would both become {target}: "
                "explain them into different folders"
            )
        taken[key] = path
        jobs.append(MaskJob(path, target))
    return jobs


def explain_images(
    jobs: Sequence[MaskJob],
    upscaler: Upscaler,
    baseline: Callable[[Upscaler], DenseBaseline],
    wanted: MaskFiles,
    *,
    effort: str,
    overwrite: bool,
    on_progress: Callable[[MaskJob, float], None],
) -> Iterator[StageResult[MaskJob, Drawn]]:
    """Explain every image and fill its folder.

    Args:
        jobs: What to do.
        upscaler: Does the work.
        baseline: Gives what tells what computing everything takes with an upscaler's network.
        wanted: What to draw.
        effort: The upscaler's, by name.
        overwrite: Replace folders of ours that exist.
        on_progress: Called now and then with the job, and the share of it that is done.

    Yields:
        How each job ended, as it comes.
    """

    def load(job: MaskJob) -> DecodedImage:
        if job.target.exists():
            refuse_foreign(job.target, overwrite=overwrite)
        image = read_image(job.source)
        size = Size(image.width, image.height).scaled(upscaler.scale)
        refuse_too_large(*size.array_shape, wanted)
        return image

    def compute(job: MaskJob, decoded: DecodedImage) -> Drawn:
        pixels = decoded.pixels
        choice = choose_weights(upscaler.model, decoded.compression, upscaler.scale)
        chosen = upscaler.with_weights(choice)
        explained = chosen.explain(pixels, on_progress=lambda share: on_progress(job, share))
        _refuse_empty(explained)
        dense = baseline(chosen).measure(pixels)
        model = choice.model if choice else chosen.network.spec.name
        stats = stats_of(explained, pixels, model=model, effort=effort, dense=dense)
        name = job.source.name

        def write(folder: Path) -> None:
            write_files(folder, explained, pixels, stats, _there(wanted, explained), name)

        # Not while the next image is computed: its time would be no measure.
        summary = {**stats.as_dict(), "request": dict(job.request)}
        summary |= {"weights": str(choice)} if choice else {}
        write_folder(job.target, write, summary, overwrite=overwrite)
        pages = sum(not page.reduced for page in decoded.later_pages)
        return Drawn(explained.report, stats, decoded.left_out + pages)

    return stream(jobs, load, compute, lambda _, drawn: drawn)


def _there(wanted: MaskFiles, explained: Explained) -> MaskFiles:
    """The maps to draw, without layers that the chosen network does not have."""
    count = len(explained.layers)
    return replace(wanted, layers=[number for number in wanted.layers if number <= count])


def _refuse_empty(explained: Explained) -> None:
    """Fail for an image so small, at a scale so near 1, that there was nothing to compute."""
    if not explained.layers and explained.pure is None:
        height, width = explained.image.shape[:2]
        raise InputError(
            f"{width}x{height} px are no more at x{explained.scale:g}, so no network ran and there "
            "are no masks; hint: use a larger -s"
        )
