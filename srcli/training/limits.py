"""Limits of each number in a training configuration."""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["faults"]


@dataclass(frozen=True)
class _Range:
    """From `low`, itself included unless `above`, to `high`."""

    low: float
    high: float = math.inf
    above: bool = False

    def allows(self, value: float) -> bool:
        low = value > self.low if self.above else value >= self.low
        return low and value <= min(self.high, sys.float_info.max)

    def __str__(self) -> str:
        if self.above:
            return f"be above {self.low:g}"
        if math.isfinite(self.high):
            return f"lie in {self.low:g}..{self.high:g}"
        return f"be at least {self.low:g}"


_SHARE = _Range(0, 1)
_AMOUNT = _Range(0)
_COUNT = _Range(1)
_RANGES = {
    "data.batch": _COUNT,
    "data.patch": _COUNT,
    "data.large": _COUNT,
    "data.memory_mb": _COUNT,
    "data.workers": _COUNT,
    "data.fit": _COUNT,
    **{
        f"degradation.{key}": _SHARE
        for key in (
            "share",
            "kernel",
            "jpeg",
            "twice",
            "subsampled",
            "webp",
            "h264",
            "noise",
            "blur",
        )
    },
    "loss.uncertainty": _AMOUNT,
    "loss.token_share": _SHARE,
    "loss.eps": _SHARE,
    "loss.clip": _AMOUNT,
    "loss.ema": _Range(0, 0.999999),
    "distillation.weight": _SHARE,
    "distillation.last_weight": _SHARE,
    "distillation.falls_from": _SHARE,
    "distillation.falls_until": _SHARE,
    "schedule.steps": _AMOUNT,
    "schedule.minutes": _AMOUNT,
    "schedule.lr": _Range(0, above=True),
    "schedule.muon_lr": _AMOUNT,
    "schedule.halvings": _AMOUNT,
    "schedule.warmup": _SHARE,
    "schedule.halting_from": _SHARE,
    "schedule.halting_lr": _AMOUNT,
    "schedule.estimator_lr": _AMOUNT,
    "validation.every_steps": _AMOUNT,
    "validation.every_minutes": _AMOUNT,
    "validation.last_minutes": _AMOUNT,
    "run.seed": _Range(0, 2**63 - 1),
    "run.threads": _AMOUNT,
    "run.log_every": _COUNT,
    "run.checkpoint_minutes": _AMOUNT,
    "network.region": _AMOUNT,  # 0 is the whole image
    "network.prototypes": _AMOUNT,  # 0 is no global branch
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def faults(name: str, sections: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """List the faults of a file's name and of numbers, a line each.

    Args:
        name: Of the weights to be made.
        sections: The configuration's fields by section.

    >>> list(faults("mine", {"loss": {"eps": 2.0}, "run": {"threads": -1}}))
    ['loss.eps is 2.0: it must lie in 0..1', 'run.threads is -1: it must be at least 0']
    """
    if not _NAME.fullmatch(name):
        yield (
            f"weights.name is {name!r}: it must be up to 60 letters, digits, '.', '_' and '-', "
            "a letter or digit first"
        )
    if name == "checkpoint":
        yield "weights.name is 'checkpoint': the run's checkpoint is called so, take another"
    for section, fields in sections.items():
        for field, value in fields.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                key = f"{section}.{field}"
                allowed = _RANGES.get(key, _COUNT if isinstance(value, int) else _AMOUNT)
                if not allowed.allows(value):
                    yield f"{key} is {value}: it must {allowed}"
