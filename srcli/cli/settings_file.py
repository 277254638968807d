"""Settings from files: `srcli.toml` in the current folder, then in the user's own.

Each command has a table of its options, with `_` or `-` in their names:

    [upscale]
    scale = 2
    effort = "exact"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from srcli.errors import UsageError

__all__ = ["FILE_NAME", "Setting", "default_map", "read_settings"]

FILE_NAME = "srcli.toml"


@dataclass(frozen=True)
class Setting:
    """One value and the file it came from."""

    value: object
    file: Path


def read_settings(group: click.Group) -> dict[str, dict[str, Setting]]:
    """All settings by command and option; the folder's own file wins.

    Raises:
        UsageError: A file is no TOML, or names a command, an option or a kind of value that there
            is not.
    """
    import platformdirs

    found: dict[str, dict[str, Setting]] = {}
    for path in (platformdirs.user_config_path("srcli") / FILE_NAME, Path(FILE_NAME).absolute()):
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
            found.setdefault(command, {}).update(options)
    return found


def default_map(settings: Mapping[str, Mapping[str, Setting]]) -> dict[str, dict[str, object]]:
    """The settings as click takes them."""
    return {
        command: {name: setting.value for name, setting in options.items()}
        for command, options in settings.items()
    }


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
        options[parameter.name] = Setting(value, path)
    return options
