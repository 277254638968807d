"""Settings that make a training run what it is, and those that may change when it is resumed."""

import json
from collections.abc import Iterator
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import cast

from srcli.data.degradation import DegradationRanges
from srcli.errors import UsageError, WeightsError
from srcli.training.checkpoint import TensorFile
from srcli.training.config import DistillationConfig, TrainingConfig
from srcli.training.families import NetworkConfig

__all__ = ["changeable_settings", "changed_settings", "check_identity", "run_identity"]

_LENGTH = ("schedule.steps", "schedule.minutes")
_TEACHER_WEIGHT = ("weight", "last_weight", "falls_from", "falls_until")
_HINTS = {
    "distillation": "; hint: continue with the same [distillation], or begin another run from "
    "weights (--init)"
}


def run_identity(config: TrainingConfig, teacher: str) -> dict[str, object]:
    """Settings that must not change between parts of one run."""
    data = config.data
    degradation = {"degradation": asdict(config.degradation)} if config.degradation.share else {}
    return {
        **degradation,
        "network": asdict(config.network),  # names in TOML: `tests/stored` holds them
        "seed": config.run.seed,
        "patch": data.patch,
        "batch": data.batch,
        "folders": list(data.folders),
        "reductions": [data.large, *data.reductions],
        "distillation": _teaching(config.distillation, teacher),
    }


def check_identity(
    path: Path, file: TensorFile, identity: dict[str, object], config: TrainingConfig
) -> None:
    """Compare a checkpoint's identity with that of the run that would resume from it.

    Args:
        path: The checkpoint's, for messages.
        file: What it holds.
        identity: The run's, as `run_identity` gives it.
        config: The run.

    Raises:
        WeightsError: It holds another network.
        UsageError: It was made with other data or another teacher.
    """
    for key, value in identity.items():
        before = file.note(key)
        if key == "distillation" and before is None:  # made when there were no teachers
            before = _teaching(DistillationConfig(), "")
        section = {"network": config.network, "degradation": config.degradation}
        if key in section and before is not None:
            before = _default_settings(section[key]) | cast("dict[str, object]", before)
        if others := list(_differences(key, before, value)):
            kind = WeightsError if key == "network" else UsageError
            raise kind(f"{path} was made with {'; '.join(others)}{_HINTS.get(key, '')}")


def changeable_settings(config: TrainingConfig) -> dict[str, object]:
    """Settings that may change between parts of one run, its length included, by name in TOML."""
    run = {"device": config.run.device, "precision": config.run.precision}
    taught = asdict(config.distillation)
    sections = {
        "loss": asdict(config.loss),
        "distillation": {key: taught[key] for key in _TEACHER_WEIGHT},
        "schedule": asdict(config.schedule),
        "run": run,
    }
    return {
        f"{section}.{field}": value
        for section, fields in sections.items()
        for field, value in fields.items()
    }


def changed_settings(file: TensorFile, config: TrainingConfig, step: int) -> list[str]:
    """List the settings that a checkpoint was made with and that change from `step` on."""
    return [
        f"{key} was {before}, and is {now} from step {step} on"
        for key, now in changeable_settings(config).items()
        if (before := file.note(key)) not in (None, now) and key not in _LENGTH
    ]


def _default_settings(section: NetworkConfig | DegradationRanges) -> dict[str, object]:
    """Defaults of a section's settings: those that a checkpoint of an earlier srcli lacks."""
    return {field.name: field.default for field in fields(section) if field.default is not MISSING}


def _teaching(told: DistillationConfig, teacher: str) -> dict[str, object]:
    """Settings of a teacher that must not change; its weight may. `teacher` is its sha256."""
    return {
        "teacher": f"sha256 {teacher[:16]}" if teacher else "none",
        "self_ensemble": told.self_ensemble,
        "own_size": told.own_size,
    }


def _differences(key: str, before: object, now: object) -> Iterator[str]:
    """List the values that differ, by their names in TOML."""
    if isinstance(before, dict) and isinstance(now, dict):
        old, new = cast("dict[str, object]", before), cast("dict[str, object]", now)
        for field in {**old, **new}:
            yield from _differences(f"{key}.{field}", old.get(field), new.get(field))
    elif json.dumps(before) != json.dumps(now):
        yield f"{key} {before}, now it is {now}"
