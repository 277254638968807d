"""Progress of a run, and the learning rates and halting that follow from it."""

import math
from dataclasses import dataclass

from srcli.training.config import DistillationConfig, ScheduleConfig

__all__ = ["Rates", "progress", "rate_settings", "rates", "teacher_weight"]


@dataclass(frozen=True)
class Rates:
    """Rates and switches of one step.

    Args:
        backbone: Learning rate of everything but the estimator.
        estimator: Learning rate of the confidence estimator.
        halting: Whether tokens halt in this step.
        matrices: Learning rate of the backbone's weight matrices by Muon.
        teacher: Weight of the distance to the teacher, in [0, 1]; unused without one.
    """

    backbone: float
    estimator: float
    halting: bool
    matrices: float = 0.0
    teacher: float = 0.0


def progress(schedule: ScheduleConfig, step: int, minutes: float, idle: float = 0.0) -> float:
    """Share of the run that is done after `step` steps and `minutes`, in [0, 1].

    Args:
        schedule: The run's length.
        step: Steps done.
        minutes: Minutes so far.
        idle: Of these, minutes before there were steps: they shorten the run, but do not take it
            past its warm-up.

    >>> progress(ScheduleConfig(steps=200, minutes=10), step=50, minutes=6)
    0.6
    >>> progress(ScheduleConfig(minutes=10), step=50, minutes=6, idle=2)
    0.5
    """
    by_step = step / schedule.steps if schedule.steps > 0 else 0.0
    if schedule.minutes <= 0:
        by_time = 0.0
    elif minutes >= schedule.minutes:
        by_time = 1.0
    else:
        by_time = max(minutes - idle, 0.0) / (schedule.minutes - idle)
    return min(max(by_step, by_time), 1.0)


def rates(schedule: ScheduleConfig, done: float) -> Rates:
    """Learning rates after a share `done` of the run, in [0, 1].

    >>> [rates(ScheduleConfig(steps=1, lr=1e-3, warmup=0.1), d).backbone for d in (0.05, 1.0)]
    [0.0005, 0.0]
    """
    backbone = _backbone(schedule, done)
    return Rates(
        backbone,
        schedule.estimator_lr,
        halting=done >= schedule.halting_from,
        matrices=schedule.muon_lr * backbone / schedule.lr,
    )


def teacher_weight(distillation: DistillationConfig, done: float) -> float:
    """The weight of the distance to the teacher after a share `done` of the run, in [0, 1].

    >>> told = DistillationConfig("t", weight=1.0, last_weight=0.5, falls_from=0.5, falls_until=0.9)
    >>> [teacher_weight(told, done) for done in (0.25, 0.5, 0.7, 0.95)]
    [1.0, 1.0, 0.75, 0.5]
    """
    first, last = distillation.falls_from, distillation.falls_until
    if done < first:
        return distillation.weight
    if done >= last:
        return distillation.last_weight
    way = (done - first) / (last - first)
    return distillation.weight + way * (distillation.last_weight - distillation.weight)


def rate_settings(schedule: ScheduleConfig, done: float) -> str:
    """The settings to lower for smaller steps after a share `done` of the run.

    >>> [rate_settings(ScheduleConfig(muon_lr=1e-3, halting_from=0.8), done) for done in (0.5, 0.9)]
    ['schedule.lr and schedule.muon_lr', 'schedule.halting_lr']
    """
    if done >= schedule.halting_from:
        return "schedule.halting_lr"  # Muon's rate falls with it
    return "schedule.lr and schedule.muon_lr" if schedule.muon_lr else "schedule.lr"


def _backbone(schedule: ScheduleConfig, done: float) -> float:
    """The backbone's learning rate: up, down, and in the last phase from `halting_lr` to 0."""
    if done >= schedule.halting_from:
        rest = (1.0 - done) / (1.0 - schedule.halting_from) if done < 1.0 else 0.0
        return schedule.halting_lr * rest
    if done < schedule.warmup:
        return schedule.lr * done / schedule.warmup
    way = (done - schedule.warmup) / (schedule.halting_from - schedule.warmup)
    if schedule.shape == "halving":
        return schedule.lr * 0.5 ** math.floor(way * (schedule.halvings + 1))
    fall = 0.5 * (1.0 + math.cos(math.pi * way))
    return schedule.halting_lr + (schedule.lr - schedule.halting_lr) * fall
