"""Settings from files: `srcli.toml` in the current folder, then in the user's own.

Each command has a table of its options, with `_` or `-` in their names:

    [upscale]
    scale = 2
    effort = "exact"
"""

import datetime
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource

from srcli.errors import UsageError
from srcli.user_folders import user_config

__all__ = ["FILE_NAME", "Setting", "default_map", "default_of", "overridden", "read_settings"]

FILE_NAME = "srcli.toml"

# Options of which the nearer one puts the others of its set out of force.
_INSTEAD = (
    frozenset({"scale", "width", "height", "fit", "megapixels"}),
    frozenset({"effort", "halt_eps"}),
    frozenset({"tonemap", "force_sdr"}),
)


@dataclass(frozen=True)
class Setting:
    """One value and the file it came from."""

    value: object
    file: Path


def read_settings(group: click.Group) -> dict[str, dict[str, Setting]]:
    """All settings by command and option; the folder's own file wins.

    Raises:
        UsageError: A file is no TOML, or names a command, an option or a kind of value that there
            is not. Whether the value itself will do is click's to say.
    """
    found: dict[str, dict[str, Setting]] = {}
    for path in (user_config() / FILE_NAME, Path(FILE_NAME).absolute()):
        try:
            tables = tomllib.loads(path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: {error}; correct it or move it away") from error
        for command, table in tables.items():
            if command not in group.commands or not isinstance(table, dict):
                have = ", ".join(f"[{name}]" for name in sorted(group.commands))
                raise UsageError(f"{path}: no table [{command}] is known (have {have})")
            options = _options(path, group, command, cast("dict[str, Any]", table))
            further = found.get(command, {})
            rivals = _rivals(options)
            kept = {name: one for name, one in further.items() if name not in rivals}
            found[command] = kept | options
    return found


def default_map(settings: Mapping[str, Mapping[str, Setting]]) -> dict[str, dict[str, object]]:
    """The settings as click takes them: as if they had been typed, switches apart."""
    return {
        command: {name: _as_typed(setting.value) for name, setting in options.items()}
        for command, options in settings.items()
    }


def default_of(option: click.Parameter) -> object:
    """Default of an option where nothing is set; None if it has none."""
    plain = (str, int, float, bool)
    return option.default if isinstance(option.default, plain) else None


def overridden(context: click.Context) -> dict[str, object]:
    """Options set by a file in whose place another was typed (`--width` for `scale`).

    Returns:
        By name, the value without the file.
    """
    options = {parameter.name: parameter for parameter in context.command.params}
    sources = {name: context.get_parameter_source(name) for name in options}
    typed = {name for name, source in sources.items() if source is ParameterSource.COMMANDLINE}
    return {
        name: default_of(options[name])
        for name in _rivals(typed) - typed
        if sources.get(name) is ParameterSource.DEFAULT_MAP
    }


def _rivals(names: Collection[str]) -> set[str]:
    """The options that any of these puts out of force; itself too."""
    return {rival for instead in _INSTEAD if not instead.isdisjoint(names) for rival in instead}


def _as_typed(value: object) -> object:
    if isinstance(value, list):
        return [_as_typed(one) for one in cast("list[object]", value)]
    return value if isinstance(value, bool) else str(value)


def _options(
    path: Path, group: click.Group, command: str, table: Mapping[str, Any]
) -> dict[str, Setting]:
    known = {
        option.removeprefix("--").replace("-", "_"): parameter
        for parameter in group.commands[command].params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    }
    options: dict[str, Setting] = {}
    for key, value in table.items():
        parameter = known.get(key.replace("-", "_"))
        if parameter is None:
            raise UsageError(f"{path}: [{command}] has no option {key!r}; see {command} --help")
        options[parameter.name] = Setting(_checked(path, command, key, parameter, value), path)
    return options


def _checked(path: Path, command: str, key: str, parameter: click.Option, value: object) -> object:
    """A value as click can take it; one where several can be said is a list of one."""
    if isinstance(value, datetime.time):  # 00:01:30 without quotes
        value = value.isoformat()
    each: list[object] = [value]
    if parameter.multiple and isinstance(value, list):
        each = cast("list[object]", value)
    fits = _is_switch if parameter.is_flag else _is_typed
    if not all(map(fits, each)):
        kind = "true or false" if parameter.is_flag else "a text or a number"
        raise UsageError(f"{path}: [{command}] {key} is {value}: it must be {kind}")
    if parameter.multiple:
        return each
    return cast("object", value)


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _is_typed(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
