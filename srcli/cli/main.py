"""The command line's entry: the group of commands, and where errors become exit codes."""

import errno
import sys

import click

from srcli.cli.bench import bench
from srcli.cli.click_classes import CommandGroup, hint_for
from srcli.cli.completion import completion
from srcli.cli.config import config
from srcli.cli.console import echo_line
from srcli.cli.datasets import datasets
from srcli.cli.doctor import doctor
from srcli.cli.reproduce import reproduce
from srcli.cli.settings_file import default_map, plain_words, read_settings, settings_named
from srcli.cli.status import status, verify
from srcli.cli.streams import StandardStreams
from srcli.cli.train import train
from srcli.cli.upscale import upscale
from srcli.cli.visualize_mask import visualize_mask
from srcli.cli.weights import weights
from srcli.errors import ExitCode, MissingDataSet, SrcliError, UsageError

__all__ = ["main", "run"]

_EXIT_CODES = """\b
Exit codes:
  0    all done (or nothing left to do)
  1    some inputs failed, the others are done
  2    usage: the request cannot be carried out as asked
  3    nothing could be done
  4    not enough disk or memory
  130  interrupted
"""


@click.group(
    cls=CommandGroup,
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(None, "-V", "--version", package_name="srcli", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Upscale photographs with sparse-attention super-resolution."""
    context.default_map = default_map(read_settings(main))


@main.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def show_help(context: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of srcli, or of a command."""
    inner = context.parent
    assert inner is not None
    for word in words:
        group = inner.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"{inner.command_path} has no command {word!r}", inner)
        name, found, _ = group.resolve_command(inner, [word])
        assert found is not None
        inner = click.Context(found, info_name=name, parent=inner)
    click.echo(inner.get_help())


main.add_command(bench)
main.add_command(completion)
main.add_command(config)
main.add_command(datasets)
main.add_command(doctor)
main.add_command(reproduce)
main.add_command(status)
main.add_command(train)
main.add_command(upscale)
main.add_command(verify)
main.add_command(visualize_mask)
main.add_command(weights)


def run() -> None:
    """Run the command line and end the process with the right exit code."""
    streams = StandardStreams()
    streams.install()
    code = _exit_code()
    trouble = streams.error()
    if trouble:
        echo_line(trouble)
        code = code or ExitCode.SOME_FAILED
    sys.exit(code)


def _exit_code() -> ExitCode | int:
    try:
        return main.main(prog_name="srcli", standalone_mode=False) or ExitCode.ALL_DONE
    except SrcliError as error:
        echo_line(str(error))
        if isinstance(error, MissingDataSet) and error.hint:
            echo_line(f"hint: {error.hint}")
        _name_settings(error, str(error))
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except click.ClickException as error:
        _show_usage(error)
        _name_settings(error, error.format_message())
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):  # an Abort is a RuntimeError, too
        echo_line("interrupted; run the same command again to continue")
        return ExitCode.INTERRUPTED
    except (MemoryError, OSError, RuntimeError) as error:
        line = _want_of_room(error)
        if not line:
            raise
        echo_line(line)
        return ExitCode.NO_ROOM


def _name_settings(error: Exception, message: str) -> None:
    """Say, after a usage error, which of the values it names came from a file."""
    if isinstance(error, UsageError | click.UsageError):
        for line in settings_named(main, sys.argv[1:], message):
            echo_line(line)


def _want_of_room(error: Exception) -> str:
    """A line for an error that says that memory or disk have run out; "" for another."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch and isinstance(error, torch.OutOfMemoryError)):
        return "not enough memory; hint: close other programs, or use a smaller network"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{error.filename or 'the disk'}: {error.strerror}; hint: make room"
    return ""


def _show_usage(error: click.ClickException) -> None:
    """Show a usage error as one line, and what helps as another."""
    hint = hint_for(error)
    echo_line(error.message if hint else plain_words(error.format_message()))
    context = error.ctx if isinstance(error, click.UsageError) else None
    if hint:
        echo_line(f"hint: {hint}")
    elif context is not None and "hint:" not in error.message:
        echo_line(f"hint: {context.command_path} --help")
