"""Explains pictures one after the other, decoding the next meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from srcli.errors import UsageError
from srcli.inference.planes import Pixels
from srcli.inference.report import Report
from srcli.inference.streaming import Outcome, stream
from srcli.inference.upscaler import Upscaler
from srcli.media import read_picture
from srcli.viz.figures import Figures, Yardstick, figures_of
from srcli.viz.files import Wanted, write_files
from srcli.viz.folder import is_ours, refuse_foreign, write_folder

__all__ = ["Drawn", "MaskJob", "explain_pictures", "plan_folders"]


@dataclass(frozen=True)
class MaskJob:
    """A picture and the folder for its maps."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Drawn:
    """What a picture took, and its numbers."""

    report: Report
    figures: Figures


def plan_folders(sources: Sequence[tuple[Path, Path | None]], output: Path | None) -> list[MaskJob]:
    """Name the folder of every picture: `STEM_masks/`.

    Pictures found in such a folder are passed over. It lies beside the picture; or in `output`,
    where pictures found in a folder keep its tree.

    Args:
        sources: Pictures, and the folder on the command line that each was found in.
        output: Where the folders go.

    Raises:
        UsageError: Two pictures would share a folder, or `output` is a file.
    """
    if output is not None and output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: name a folder for the results")
    sources = [(path, root) for path, root in sources if not _drawn(path, root)]
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


def _drawn(path: Path, root: Path | None) -> bool:
    """Whether a picture was found in a folder that we filled."""
    if root is None:
        return False
    return any(is_ours(folder) for folder in path.parents if folder.is_relative_to(root))


def explain_pictures(
    jobs: Sequence[MaskJob],
    upscaler: Upscaler,
    yardstick: Yardstick,
    wanted: Wanted,
    *,
    effort: str,
    overwrite: bool,
    on_tile: Callable[[MaskJob, int, int], None],
) -> Iterator[Outcome[MaskJob, Drawn]]:
    """Explain every picture and fill its folder.

    Args:
        jobs: What to do.
        upscaler: Does the work.
        yardstick: Tells what computing everything takes.
        wanted: What to draw.
        effort: The upscaler's, by name.
        overwrite: Replace folders of ours that exist.
        on_tile: Called after each tile with the job, the tiles done and the tiles in all.

    Yields:
        How each job ended, as it comes.
    """

    def load(job: MaskJob) -> Pixels:
        if job.target.exists():
            refuse_foreign(job.target, overwrite=overwrite)
        return read_picture(job.source).pixels

    def compute(job: MaskJob, pixels: Pixels) -> Drawn:
        explained = upscaler.explain(pixels, lambda done, total: on_tile(job, done, total))
        dense = yardstick.measure(pixels, explained.window)
        model = upscaler.network.spec.name
        figures = figures_of(explained, pixels, model=model, effort=effort, dense=dense)
        name = job.source.name

        def write(folder: Path) -> None:
            write_files(folder, explained, pixels, figures, wanted, name)

        # Not while the next picture is computed: its time would be no measure.
        write_folder(job.target, write, figures.as_dict(), overwrite=overwrite)
        return Drawn(explained.report, figures)

    return stream(jobs, load, compute, lambda _, drawn: drawn)
