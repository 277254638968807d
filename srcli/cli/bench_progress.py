"""Progress of `srcli bench`, and its end when it is interrupted."""

import itertools
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import ParamSpec

from srcli.cli.console import echo_line, printable
from srcli.errors import ExitCode
from srcli.heartbeat import Heartbeat

__all__ = ["interruptible", "shown_progress"]

_Options = ParamSpec("_Options")

_FIRST_LINE = 2.0  # s; what is over sooner needs none


def interruptible(command: Callable[_Options, ExitCode]) -> Callable[_Options, ExitCode]:
    """Exit cleanly at Ctrl-C outside `measure`, when there is nothing to show yet."""

    @wraps(command)
    def wrapped(*args: _Options.args, **kwargs: _Options.kwargs) -> ExitCode:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            echo_line("interrupted; the same command measures everything again")
            return ExitCode.INTERRUPTED

    return wrapped


@contextmanager
def shown_progress(total: int) -> Generator[Callable[[str], None]]:
    """A bar on stderr if it is a terminal, else a line soon and every half minute."""
    if not sys.stderr.isatty():
        with Heartbeat(echo_line, f"measuring {total} images", _FIRST_LINE) as heartbeat:
            yield partial(_count, heartbeat, total, itertools.count(1))
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("measuring", total=total)
        yield lambda name: bar.update(task, advance=1, description=name)


def _count(heartbeat: Heartbeat, total: int, numbers: Iterator[int], name: str) -> None:
    """Let the next line off a terminal tell how many images are measured, and the last one."""
    heartbeat.work = f"{next(numbers)} of {total} images measured, the last {printable(name)}"
