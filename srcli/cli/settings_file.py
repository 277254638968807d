"""Settings from files: `srcli.toml` in the current folder, then in the user's own.

Each command has a table of its options, with `_` or `-` in their names:

    [upscale]
    scale = 2
    effort = "exact"
"""

import datetime
import difflib
import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource

from srcli.errors import UsageError
from srcli.user_folders import user_config

__all__ = [
    "FILE_NAME",
    "Setting",
    "default_map",
    "default_of",
    "overridden",
    "plain_words",
    "read_settings",
    "settings_named",
]

FILE_NAME = "srcli.toml"

# Options of which the nearer one puts the others of its set out of force.
_INSTEAD = (
    frozenset({"scale", "width", "height", "fit", "megapixels"}),
    frozenset({"effort", "halt_eps"}),
    frozenset({"tonemap", "force_sdr"}),
)


@dataclass(frozen=True)
class Setting:
    """One value and the file it came from.

    Args:
        value: As click takes it.
        file: The file.
        place: The file, and the line where that can be told.
    """

    value: object
    file: Path
    place: str


def read_settings(group: click.Group) -> dict[str, dict[str, Setting]]:
    """All settings by command and option; the folder's own file wins.

    Raises:
        UsageError: A file is no TOML, or names a command, an option or a value that there is not.
    """
    found: dict[str, dict[str, Setting]] = {}
    for path in (user_config() / FILE_NAME, Path(FILE_NAME).absolute()):
        try:
            text = path.read_text("utf-8-sig")
            tables = tomllib.loads(text)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            if os.path.lexists(path):
                raise UsageError(
                    f"{path}: {error.strerror}; hint: check its permissions"
                ) from error
            continue  # a home that is another's, as in a container: there is none for this user
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: {error}; hint: correct it or move it away") from error
        for command, table in tables.items():
            if command not in group.commands or not isinstance(table, dict):
                have = ", ".join(f"[{name}]" for name in sorted(group.commands))
                place = _place(path, text, command)
                raise UsageError(f"{place}: no table [{command}] is known (have {have})")
            options = _options(path, text, group, command, cast("dict[str, Any]", table))
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


def settings_named(group: click.Group, typed: Sequence[str], message: str) -> list[str]:
    """Say which settings an error speaks of that came from a file, and not from the command line.

    Args:
        group: All commands.
        typed: The words of the command line.
        message: The error's.
    """
    command = next((word for word in typed if word in group.commands), "")
    try:
        settings = read_settings(group).get(command, {})
    except UsageError:
        return []
    lines: list[str] = []
    for parameter in group.commands[command].params if settings else ():
        setting = settings.get(parameter.name or "")
        if setting is None or any(_is_typed_as(word, parameter) for word in typed):
            continue
        value, key = str(setting.value), max(parameter.opts, key=len).removeprefix("--")
        named = any(option in message for option in parameter.opts)
        quoted = re.search(rf"(?:'|\b{re.escape(key)} ){re.escape(value)}(?![\w.])", message)
        if named or quoted:
            lines.append(f"{setting.place}: [{command}] {key} is {value}")
    return lines


def _is_typed_as(word: str, parameter: click.Parameter) -> bool:
    return any(
        word == option or word.startswith(f"{option}=" if option.startswith("--") else option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    )


def _rivals(names: Collection[str]) -> set[str]:
    """The options that any of these puts out of force; itself too."""
    return {rival for instead in _INSTEAD if not instead.isdisjoint(names) for rival in instead}


def _as_typed(value: object) -> object:
    if isinstance(value, list):
        return [_as_typed(one) for one in cast("list[object]", value)]
    return value if isinstance(value, bool) else str(value)


def _options(
    path: Path, text: str, group: click.Group, command: str, table: Mapping[str, Any]
) -> dict[str, Setting]:
    known = {
        option.removeprefix("--").replace("-", "_"): parameter
        for parameter in group.commands[command].params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    }
    context = click.Context(group.commands[command], info_name=command)
    options: dict[str, Setting] = {}
    for key, value in table.items():
        place = _place(path, text, command, key)
        parameter = known.get(key.replace("-", "_"))
        if parameter is None:
            near = difflib.get_close_matches(key.replace("-", "_"), known, 1)
            meant = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
            raise UsageError(
                f"{place}: [{command}] has no option {key!r}{meant} hint: srcli {command} --help"
            )
        try:
            checked = _checked(context, parameter, value)
        except _WrongValue as error:
            raise UsageError(f"{place}: [{command}] {key} is {value}: {error}") from None
        options[parameter.name] = Setting(checked, path, place)
    return options


class _WrongValue(ValueError):
    """A value will not do; the message says which would."""


def _checked(context: click.Context, parameter: click.Option, value: object) -> object:
    """A value as click can take it; one where several can be said is a list of one.

    Raises:
        _WrongValue: Click does not take it.
    """
    if isinstance(value, datetime.time):  # 00:01:30 without quotes
        value = value.isoformat()
    each: list[object] = [value]
    if parameter.multiple and isinstance(value, list):
        each = cast("list[object]", value)
    fits = _is_switch if parameter.is_flag else _is_typed
    if not all(map(fits, each)):
        raise _WrongValue(
            f"it must be {'true or false' if parameter.is_flag else 'a text or a number'}"
        )
    for one in each:
        try:
            parameter.type.convert(_as_typed(one), parameter, context)
        except click.BadParameter as error:
            raise _WrongValue(plain_words(error.message).removesuffix(".")) from None
    if parameter.multiple:
        return each
    return cast("object", value)


def plain_words(message: str) -> str:
    r"""A message of click as one line without its jargon.

    >>> plain_words("'big' is not a valid float."), plain_words("Choose from:\n\tbash,\n\tzsh")
    ("'big' is not a number.", 'Choose from: bash, zsh')
    """
    for jargon, plain in (("a valid float", "a number"), ("a valid integer", "a whole number")):
        message = message.replace(jargon, plain)
    return re.sub(r"\s*\n\s*", " ", message)


_HEADER = re.compile(r"""\s*\[\s*["']?([\w-]+)["']?\s*\]""")
_KEY = re.compile(r"""\s*["']?([\w-]+)["']?\s*(?:\.\s*["']?([\w-]+)["']?\s*)?=\s*(\{?)""")


def _place(path: Path, text: str, command: str, key: str = "") -> str:
    r"""The file, and the line that names a table, or a key of it, as far as plain text tells.

    >>> _place(Path("srcli.toml"), "# mine\n[upscale]\nscale = 2\n", "upscale", "scale")
    'srcli.toml, line 3'
    """
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header, found = _HEADER.match(line), False
        named = _KEY.match(line)
        if header:
            table = header[1]
            found = table == command and not key
        elif named and table == command:
            found = named[1] == key
        elif named:  # upscale.scale = 2, or upscale = { scale = 2 }
            inline = named[3] and re.search(rf"""[{{,]\s*["']?{re.escape(key)}["']?\s*=""", line)
            found = named[1] == command and (not key or named[2] == key or bool(inline))
        if found:
            return f"{path}, line {number}"
    return str(path)


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _is_typed(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
