"""The frame of programs that run by `python -m`, for machines that lack click."""

import sys
from collections.abc import Callable

from srcli.errors import ExitCode, SrcliError

__all__ = ["run_program"]


def run_program(work: Callable[[], ExitCode]) -> int:
    """Run `work` and return the exit code; an error of srcli's becomes one line on stderr."""
    try:
        return work()
    except SrcliError as error:
        sys.stderr.write(f"srcli: {error}\n")
        return error.exit_code
