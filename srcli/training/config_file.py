"""Reading a training run's TOML file; every key, type and value is checked before any step."""

import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from srcli.errors import UsageError
from srcli.training.config import TrainingConfig
from srcli.training.families import FAMILIES, NetworkConfig

__all__ = ["read_config"]

_T = TypeVar("_T")


def read_config(path: Path) -> TrainingConfig:
    """Read and check a run's configuration.

    Raises:
        UsageError: It is unreadable, has an unknown key, lacks one or holds a wrong value.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    sections = get_type_hints(TrainingConfig)
    for name in table:
        if name not in sections:
            raise UsageError(f"{path}: unknown section {name} (have {', '.join(sections)})")
    sections["network"] = _take_family(table.get("network"), f"{path}: network")
    made = {
        name: _fill(kind, table.get(name, {}), f"{path}: {name}") for name, kind in sections.items()
    }
    config = TrainingConfig(**made)
    config.check()
    return config


def _take_family(network: object, where: str) -> type[NetworkConfig]:
    """Take `family` out of the section [network] and return the configuration it stands for."""
    section = cast("dict[str, object]", network) if isinstance(network, dict) else {}
    family = section.pop("family", "adaformer")
    if not isinstance(family, str) or family not in FAMILIES:
        raise UsageError(f"{where}.family is {family!r}: have {', '.join(FAMILIES)}")
    return FAMILIES[family].config


def _fill(kind: type[_T], table: object, where: str) -> _T:
    """Make a config dataclass of a TOML table, checking names and types."""
    if not isinstance(table, dict):
        raise UsageError(f"{where} must be a section, [{where.split()[-1]}]")
    given = cast("dict[str, object]", table)
    hints = get_type_hints(kind)
    for key in given:
        if key not in hints:
            raise UsageError(f"{where}.{key} is unknown (have {', '.join(hints)})")
    values: dict[str, Any] = {}
    for entry in fields(cast("Any", kind)):
        if entry.name in given:
            values[entry.name] = _typed(
                given[entry.name], hints[entry.name], f"{where}.{entry.name}"
            )
        elif entry.default is MISSING:
            raise UsageError(f"{where}.{entry.name} is missing")
    return kind(**values)


def _typed(value: object, kind: Any, where: str) -> object:  # noqa: ANN401
    """A TOML value as the type of its field."""
    for item in (str, float):
        if kind == tuple[item, ...]:
            if not isinstance(value, list):
                raise UsageError(f"{where} is {value!r}: it must be a list")
            return tuple(_typed(v, item, where) for v in cast("list[object]", value))
    if type(value) is int and abs(value) >= 1 << 63:
        raise UsageError(f"{where} has {len(str(abs(value)))} digits: it must be below 2**63")
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise UsageError(f"{where} is {value!r}: it must be of type {kind.__name__}")
    return value
