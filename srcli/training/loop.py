"""A training run from configuration to exported weights."""

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from srcli.errors import UsageError
from srcli.training.checkpoint import read_notes
from srcli.training.config import ScheduleConfig, TrainingConfig
from srcli.training.distributed import joined
from srcli.training.families import NetworkConfig
from srcli.training.folder import RunFolder
from srcli.training.reports import TrainingLogger
from srcli.training.run import Run
from srcli.training.runnable import why_not_runnable

__all__ = ["RunOptions", "train"]


@dataclass(frozen=True)
class RunOptions:
    """Options of the command line beside the configuration.

    Args:
        out: Folder for checkpoint, log and weights.
        resume: Go on from the checkpoint in `out`.
        init: Weights to start from.
        steps: Replaces the schedule's length, minutes included.
        minutes: Replaces the schedule's length, steps included. Without either, a resumed run
            keeps the length with which it was begun.
        data: Folders of training images, in place of the configuration's.
        sets: Validation sets, likewise.
        began: Since when minutes count, by `time.monotonic`; None: from the first step on.
    """

    out: Path
    resume: bool = False
    init: Path | None = None
    steps: int | None = None
    minutes: float | None = None
    data: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    began: float | None = None


def train(
    config: TrainingConfig, options: RunOptions, loggers: Sequence[TrainingLogger]
) -> Path | None:
    """Train until the schedule's end, validate, and export the averaged weights.

    Interrupted (Ctrl-C, SIGTERM), it ends its step and writes a checkpoint first; a second time, it
    stops at once and leaves the last checkpoint.

    Args:
        config: The run.
        options: What the command line adds.
        loggers: Told of progress, in the leading process only.

    Returns:
        The exported file; None in all processes but the leading one.

    Raises:
        UsageError: Folders, sets or settings are of no use, and no step has run; memory does not
            suffice for a step; or the finished weights cannot be written.
        WeightsError: The checkpoint or the weights to start from do not fit; no step has run.
        FolderBusy: Another run writes to the same folder.
        LossDiverged: The loss is no longer finite.
        KeyboardInterrupt: It was interrupted.
    """
    folder = RunFolder(options.out)
    if options.resume and options.init is not None:
        raise UsageError(
            "--resume continues from a checkpoint, --init begins another; hint: give one of them"
        )
    told = config.schedule
    config = replace(_with_folders(config, options), schedule=_schedule(told, options, folder))
    config.check()
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    with (
        joined(config.run.device) as processes,
        folder.held() if processes.leads else nullcontext(),
    ):
        if not options.resume and processes.leads:
            folder.refuse_earlier_run()
        if not processes.leads:
            loggers = ()
        run = Run(config, folder, loggers, processes, options.began)
        if options.resume:
            run.resume()
            for logger in loggers:
                for line in _unused_length(told, config.schedule, options):
                    logger.warn(line)
        else:  # who resumes a run has been told
            _warn_of_strange_network(config.network, loggers)
            if options.init is not None:
                run.start_from(options.init)
        return run.go()


def _with_folders(config: TrainingConfig, options: RunOptions) -> TrainingConfig:
    """The configuration with the folders that the command line names.

    Raises:
        UsageError: Neither of them names training images.
    """
    data = replace(config.data, folders=options.data or config.data.folders)
    if not data.folders:
        raise UsageError("no training images; hint: --data FOLDER (or [data] folders in CONFIG)")
    validation = replace(config.validation, sets=options.sets or config.validation.sets)
    return replace(config, data=data, validation=validation)


def _warn_of_strange_network(config: NetworkConfig, loggers: Sequence[TrainingLogger]) -> None:
    """Tell before hours are spent on weights that srcli cannot run."""
    line = why_not_runnable(config)
    if line is not None:
        for logger in loggers:
            logger.warn(line)


def _schedule(schedule: ScheduleConfig, options: RunOptions, folder: RunFolder) -> ScheduleConfig:
    """The configuration's schedule with the length that this run has."""
    if options.steps is not None or options.minutes is not None:
        return replace(schedule, steps=options.steps or 0, minutes=options.minutes or 0.0)
    if not options.resume:
        return schedule
    notes = read_notes(folder.checkpoint)
    return replace(
        schedule,
        steps=json.loads(notes.get("schedule.steps", str(schedule.steps))),
        minutes=json.loads(notes.get("schedule.minutes", str(schedule.minutes))),
    )


def _unused_length(
    told: ScheduleConfig, used: ScheduleConfig, options: RunOptions
) -> Iterator[str]:
    """A line if a resumed run keeps to another length than the configuration now has."""
    given = options.steps is not None or options.minutes is not None
    wanted, kept = _length(told), _length(used)
    if not given and wanted and wanted != kept:
        had, has = (" or ".join(f"{v} {name}" for name, v in one.items()) for one in (kept, wanted))
        words = "".join(f" --{name} {value}" for name, value in wanted.items())
        yield f"the run keeps its length, {had}; CONFIG says {has}: --resume{words} takes that"


def _length(schedule: ScheduleConfig) -> dict[str, str]:
    """The schedule's limits, by their names in TOML."""
    limits = {"steps": schedule.steps, "minutes": schedule.minutes}
    return {name: f"{value:.9g}" for name, value in limits.items() if value}
