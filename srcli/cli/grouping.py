"""Options that belong together become one object before a command sees them."""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

import click

from srcli.cli.settings_file import overridden

__all__ = ["Decorator", "grouped"]

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


def grouped(name: str, kind: Callable[..., Any], *options: Decorator) -> Decorator:
    """Give a command its options as one dataclass.

    Args:
        name: The command's parameter.
        kind: The dataclass; its fields are named as the options are.
        options: click's decorators, in the order of the help.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def call(**given: object) -> object:
            instead = overridden(click.get_current_context())
            group = kind(**{field: instead.get(field, given.pop(field)) for field in names})
            return command(**given, **{name: group})

        decorated: Command = call
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
