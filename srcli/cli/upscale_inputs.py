"""The inputs of `srcli upscale`, and what each becomes."""

from pathlib import Path

import click

from srcli.cli.console import echo_line
from srcli.cli.counting import Counting
from srcli.cli.upscale_options import Engine, Handling, Result, Selection
from srcli.errors import NothingToDo, UsageError
from srcli.jobs.discover import Filter, discover
from srcli.jobs.file_list import read_file_list
from srcli.jobs.ignored import Ignored
from srcli.jobs.job import Job
from srcli.jobs.naming import NamePattern
from srcli.jobs.plan import frames_job, plan_jobs
from srcli.jobs.target_size import TargetSize

__all__ = ["jobs_of"]


def jobs_of(
    selection: Selection,
    result: Result,
    engine: Engine,
    target_size: TargetSize,
    frames: Path | None,
    handling: Handling,
    ignored: Ignored,
) -> list[Job]:
    """List the jobs: inputs and the outputs they become.

    Args:
        selection: The inputs, and the names of results.
        result: Their format.
        engine: For names.
        target_size: For names.
        frames: Folder for the frames of a clip; None if none are asked for.
        handling: What is said meanwhile.
        ignored: Told of what is passed over.

    Raises:
        NothingToDo: There are no images.
        UsageError: See `discover` and `plan_jobs`.
    """
    inputs, listed = [Path(name) for name in selection.inputs], list[Path]()
    if selection.files_from is not None:
        try:
            with click.open_file(str(selection.files_from), "rb") as stream:
                listed = read_file_list(stream.read())
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"{selection.files_from}: {reason}; hint: check the name") from error
    elif not inputs:
        raise click.MissingParameter(param_hint="'INPUT...'", param_type="argument")
    if frames is not None and selection.output is not None:
        raise UsageError(
            f"--frames-dir {frames} and -o {selection.output} exclude each other: a clip becomes "
            "frames or a clip. hint: leave one out, or run twice"
        )
    only = Filter(selection.include, selection.exclude)
    counting = Counting(quiet=handling.quiet)
    sources = discover(
        inputs,
        listed=listed,
        exclude=selection.output,
        only=only,
        clips=True,
        follow_links=selection.follow_links,
        ignored=ignored,
        count=counting.count,
    )
    counting.clear()
    if not sources:
        where = ", ".join(map(str, inputs[:5])) or str(selection.files_from)
        passed = "".join(f"; ignored {line}" for line in ignored.lines())
        raise NothingToDo(
            f"no images in {where} (srcli reads PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC, "
            f"JPEG XL and clips, and passes over folders of masks){passed}"
        )
    if frames is not None:
        return [frames_job(sources, frames)]
    pattern = selection.name and NamePattern(
        selection.name, target_size.scale, target_size.label, engine.model, engine.effort_label
    )
    jobs = plan_jobs(
        sources,
        selection.output,
        label=target_size.label,
        image_format=result.format,
        pattern=pattern or None,
        overwrite=handling.overwrite,
        tell=(lambda line: None) if handling.quiet else echo_line,
        count=counting.count,
    )
    counting.clear()
    return jobs
