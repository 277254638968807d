"""`srcli upscale --compare`: which images the page shows, and what it says of the run."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from srcli.cli.console import ProgressCounter, echo_line, open_file, printable
from srcli.cli.events import emit
from srcli.cli.upscale_options import UpscaleOptions
from srcli.errors import ExitCode, SrcliError, UnwritableImage, UsageError
from srcli.inference.report import Report, add_reports
from srcli.jobs.job import BatchResult, Finished, Job, State, is_moving
from srcli.media import DecodedImage, DecoderPool
from srcli.viz.compare_facts import amount_of
from srcli.viz.compare_page import LARGEST_COUNT, Page, Pair, refuse_foreign_page, write_page

__all__ = ["Comparison", "Written", "choose_spread", "page_path"]

_NAME = "compare.html"
_REASONS = 100  # on the page


def page_path(jobs: Sequence[Job]) -> Path:
    """Where the page of a run is written.

    Beside a single result: `STEM_compare.html`; of several, `compare.html` in the output folder,
    or in the first of them.

    Args:
        jobs: All of the run; those that are settled before any work do not count, if others do.
    """
    begun = [job for job in jobs if not job.settled] or jobs
    if len(begun) == 1:
        return begun[0].target.with_name(f"{begun[0].target.stem}_compare.html")
    return begun[0].folder / _NAME


def choose_spread(ends: Sequence[Finished], most: int) -> list[Finished]:
    """At most so many, spread evenly from the first to the last."""
    if len(ends) <= most:
        return list(ends)
    return [ends[round(n * (len(ends) - 1) / (most - 1))] for n in range(most)]


@dataclass(frozen=True)
class Written:
    """Outcome of writing the page.

    Args:
        text: For the summary.
        code: Exit code, if nothing else failed.
    """

    text: str = ""
    code: ExitCode = ExitCode.ALL_DONE


@dataclass(frozen=True)
class Comparison:
    """The page of one run, if it is asked for; its name is free before any work begins.

    Args:
        jobs: All of the run, in their order.
        label: Size of the results, as in names: "x4".
        options: Options of the run.

    Raises:
        UsageError: Something that srcli did not write has the name.
    """

    jobs: Sequence[Job]
    label: str
    options: UpscaleOptions

    def __post_init__(self) -> None:
        if not self.options.compare.enabled:
            return
        try:
            refuse_foreign_page(self.path)
        except UnwritableImage as error:
            raise UsageError(str(error)) from error

    @property
    def path(self) -> Path:
        """Name of the page."""
        return page_path(self.jobs)

    def announce(self) -> None:
        """Say which page a dry run would write."""
        if not self.options.compare.enabled:
            return
        images = sum(not is_moving(job) and not job.settled for job in self.jobs)
        shown = min(images, LARGEST_COUNT)
        if self.options.run.json:
            emit("compare", {"output": str(self.path), "images": shown, "of": images})
        elif shown:
            echo_line(f"{self.path}: would compare up to {shown} images")

    def write(
        self,
        result: BatchResult,
        decoder: DecoderPool,
    ) -> Written:
        """Write the page from the files that there are; a failure is a line: results are made.

        Args:
            result: How each job ended; none is written for a run that was interrupted.
            decoder: Reads the inputs.
        """
        if result.interrupted or not self.options.compare.enabled:
            return Written()
        page, found = self._page(result.finished)
        if not page.pairs:
            clips = all(map(is_moving, self.jobs))
            why = "clips are not compared" if clips else "there is no result to compare"
            return Written(f"no page: {why}")
        try:
            self._write(page, decoder)
            size = self.path.stat().st_size
        except (SrcliError, OSError) as error:
            echo_line(str(error))
            if self.options.run.json:
                emit("compare", {"output": str(self.path), "reason": str(error)})
            return Written(f"failed: {error}", ExitCode.SOME_FAILED)
        shown = len(page.pairs)
        if self.options.run.json:
            fields = {"output": str(self.path), "images": shown, "of": found, "bytes": size}
            emit("compare", fields)
        if self.options.compare.show:
            open_file(self.path)
        return Written(f"{self.path} ({shown} of {found} images, {amount_of(size)})")

    def _write(self, page: Page, decoder: DecoderPool) -> None:
        counter = ProgressCounter(quiet=self.options.run.quiet)
        most = self.options.limits.max_output_megapixels

        def read_input(path: Path) -> DecodedImage:
            return decoder.read(path).image

        limits = replace(decoder.limits, megapixels=max(most, decoder.limits.megapixels))
        with DecoderPool(limits) as results:

            def read_result(path: Path) -> DecodedImage:
                return results.read(path).image

            what = f"of {len(page.pairs)} images compared"
            write_page(self.path, page, read_input, read_result, lambda: counter.count(what))
        counter.clear()

    def _page(self, finished: Sequence[Finished]) -> tuple[Page, int]:
        """The page, and how many images it could show."""
        order = {job: number for number, job in enumerate(self.jobs)}
        ends = sorted(finished, key=lambda end: order.get(end.job, len(order)))
        images = [end for end in ends if not is_moving(end.job) and not _is_passed_over(end)]
        there, left_out = list[Finished](), list[Finished]()
        for end in images:
            (there if _has_result(end) else left_out).append(end)
        chosen = choose_spread(there, LARGEST_COUNT)
        names = _names([end.job.source for end in chosen])
        pairs = [
            Pair(name, end.job.source, end.job.target, self._work(end), _losses(end))
            for name, end in zip(names, chosen, strict=True)
        ]
        several = self.path.name == _NAME
        place = self.path.absolute().parent.name if several else ends[0].job.source.name
        lines = [
            self._headline([end.report for end in images if end.report is not None]),
            *([_selection(len(chosen), len(there))] if len(there) > len(chosen) else []),
            *_clips(ends),
            f"srcli {version('srcli')}, {time.strftime('%Y-%m-%d %H:%M')}",
        ]
        title = f"{place}: bicubic and srcli"
        return Page(title, lines, pairs, _reasons(left_out)), len(there)

    def _headline(self, reports: Sequence[Report]) -> str:
        network = self.options.network
        settings = f"{network.model}, {self.label}, effort {network.effort_label}"
        if not reports:
            return f"{settings}; no image was made in this run"
        whole = add_reports(reports)
        images = f"{len(reports)} image{'s' if len(reports) > 1 else ''} made in this run"
        return f"{settings}; {images}: {_cost(whole)}"

    def _work(self, end: Finished) -> str:
        if end.report is None:
            return f"not made in this run: {_nameless(end.reason, end.job)}"
        tiles = "" if end.report.exact else "; blended from overlapping tiles"
        network = self.options.network
        model = end.report.chosen or network.model
        return f"{model}, effort {network.effort_label}: {_cost(end.report)}{tiles}"


def _cost(report: Report) -> str:
    live = report.live_windows
    share = f", {sum(live) / len(live):.0%} of the attention was computed" if live else ""
    return f"{report.seconds:.1f} s in the network{share}"


def _selection(shown: int, found: int) -> str:
    return f"{shown} of {found} images are shown, spread evenly over the run."


def _clips(ends: Sequence[Finished]) -> list[str]:
    count = sum(is_moving(end.job) for end in ends)
    if not count:
        return []
    are = "1 clip is" if count == 1 else f"{count} clips are"
    return [f"{are} left out: the page compares images."]


def _is_passed_over(end: Finished) -> bool:
    """Tell if an input is a second name of another, or is not looked at at all."""
    return end.job.settled is not None and end.state is State.SKIPPED


def _has_result(end: Finished) -> bool:
    try:
        return end.state is not State.FAILED and end.job.target.is_file()
    except OSError:
        return False


def _reasons(ends: Sequence[Finished]) -> list[str]:
    """Why inputs have no result, one line each; many are cut short."""
    names = _names([end.job.source for end in ends])
    lines = [
        f"{name}: {_nameless(end.reason, end.job)}"
        for name, end in zip(names[:_REASONS], ends[:_REASONS], strict=True)
    ]
    further = len(ends) - len(lines)
    return [*lines, f"and {further} more"] if further else lines


def _names(sources: Sequence[Path]) -> list[str]:
    """Names of inputs below the folder that all of them share."""
    absolute = [os.path.abspath(source) for source in sources]  # noqa: PTH100 links stay
    try:
        shared = os.path.commonpath([os.path.dirname(path) for path in absolute])  # noqa: PTH120
        return [printable(os.path.relpath(path, shared)) for path in absolute]
    except ValueError:  # on several drives, or there are none
        return [printable(source.name) for source in sources]


def _losses(end: Finished) -> tuple[str, ...] | None:
    """Losses of a result that was made in this run; None of another."""
    if end.report is None:
        return None
    return tuple(_nameless(loss, end.job) for loss in end.losses)


def _nameless(line: str, job: Job) -> str:
    """A line without the paths of its job, which the page does not show."""
    for path in (job.target, job.source):
        line = line.removeprefix(f"{path}: ").replace(str(path), path.name)
    return line
