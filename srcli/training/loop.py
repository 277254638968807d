"""A training run from configuration to exported weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from srcli.errors import UsageError
from srcli.training.config import TrainingConfig
from srcli.training.processes import joined
from srcli.training.reports import Watcher
from srcli.training.run import Run

__all__ = ["RunOptions", "train"]


@dataclass(frozen=True)
class RunOptions:
    """What the command line says beside the configuration.

    Args:
        out: Folder for checkpoint, log and weights.
        resume: Go on from the checkpoint in `out`.
        init: Weights to start from.
        steps: Replaces the schedule's length, minutes included.
        minutes: Replaces the schedule's length, steps included.
    """

    out: Path
    resume: bool = False
    init: Path | None = None
    steps: int | None = None
    minutes: float | None = None


def train(config: TrainingConfig, options: RunOptions, watchers: Sequence[Watcher]) -> Path | None:
    """Train until the schedule's end, validate, and export the averaged weights.

    Interrupted (Ctrl-C, SIGTERM), it ends its step and writes a checkpoint first.

    Args:
        config: The run.
        options: What the command line adds.
        watchers: Told of progress, in the leading process only.

    Returns:
        The exported file; None in all processes but the leading one.

    Raises:
        UsageError: Folders, sets or settings are of no use, and no step has run; or the finished
            weights cannot be written.
        WeightsError: The checkpoint or the weights to start from do not fit; no step has run.
        LossDiverged: The loss is no longer finite.
        KeyboardInterrupt: It was interrupted.
    """
    if options.steps is not None or options.minutes is not None:
        length = replace(config.schedule, steps=options.steps or 0, minutes=options.minutes or 0.0)
        config = replace(config, schedule=length)
    config.check()
    if options.resume and options.init is not None:
        raise UsageError("--resume goes on from a checkpoint, --init starts anew: give one of them")
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    with joined(config.run.device) as processes:
        run = Run(config, options.out, watchers if processes.leads else (), processes)
        if options.resume:
            run.resume()
        elif options.init is not None:
            run.start_from(options.init)
        return run.go()
