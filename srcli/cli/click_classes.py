"""Commands with options in groups, help with headings, and hints for options of other programs."""

import difflib
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

import click

from srcli.cli.settings_file import overridden

__all__ = ["CommandGroup", "Decorator", "SectionedCommand", "grouped", "hint_for"]

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

_COMMANDS = {
    "models": "weights list",
    "model": "weights list",
    "list": "weights list",
    "download": "weights download",
    "import": "weights import",
    "video": "upscale CLIP.mp4",
    "image": "upscale PHOTO.jpg",
    **dict.fromkeys(("mask", "masks", "viz"), "visualize-mask PHOTO.jpg"),
    **dict.fromkeys(("compare", "diff"), "upscale PHOTO.jpg --compare"),
    **dict.fromkeys(("resize", "enlarge", "scale", "run"), "upscale PHOTO.jpg"),
    "visualize": "visualize-mask PHOTO.jpg",
    "benchmark": "bench FOLDER",
    "version": "--version",
}
_NONE_NEEDED = "no option is needed"
_OPTIONS = {  # as other upscalers call them
    **dict.fromkeys(("--gpu", "--cuda", "--use-gpu", "-g"), "--device cuda"),
    **dict.fromkeys(("--gpu-id", "--gpu-ids"), "--device cuda:0"),
    "--cpu": "--device cpu",
    "--mps": "--device mps",
    **dict.fromkeys(("--input", "-i"), "the input without an option: srcli upscale PHOTO.jpg"),
    **dict.fromkeys(("--out", "--outdir", "--output-dir", "--output-folder"), "-o FOLDER"),
    **dict.fromkeys(("--outscale", "--factor", "--upscale", "-x"), "-s FACTOR"),
    **dict.fromkeys(("--model-name", "--network", "-n"), "-m NAME (srcli weights list)"),
    **dict.fromkeys(("--ext", "--extension", "-f"), "--format png"),
    **dict.fromkeys(("--size", "--resize"), "--fit 3840x2160, --width PX or --height PX"),
    "--suffix": "--name '{stem}_large.{ext}'",
    **dict.fromkeys(("--tile-size", "--tilesize", "-t"), "--tile N"),
    **dict.fromkeys(("--fp16", "--half"), "--precision fp16"),
    "--bf16": "--precision bf16",
    "--fp32": "--precision fp32",
    **dict.fromkeys(
        ("--recursive", "-r"), f"{_NONE_NEEDED}: a folder is upscaled with its subfolders"
    ),
    **dict.fromkeys(("--force", "--replace"), "--overwrite"),
    "--skip-existing": f"{_NONE_NEEDED}: results that exist are skipped",
    **dict.fromkeys(
        ("--resume", "--continue"), f"{_NONE_NEEDED}: the same command continues where it stopped"
    ),
}


def grouped(name: str, kind: Callable[..., Any], *options: Decorator) -> Decorator:
    """Give a command its options as one dataclass.

    Args:
        name: The command's parameter; none of the options has it.
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


class SectionedCommand(click.Command):
    """A command whose help lists options under headings; subclasses fill `sections`."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Heading to parameter names, in the order of the help; the last one gets all others too."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        rows = {
            option.name: row
            for option in self.get_params(ctx)
            if isinstance(option, click.Option) and (row := option.get_help_record(ctx)) is not None
        }
        shown = {name for names in self.sections.values() for name in names}
        others = [row for name, row in rows.items() if name not in shown]
        for heading, names in self.sections.items():
            last = heading == list(self.sections)[-1]
            with formatter.section(heading):
                formatter.write_dl([*(rows[name] for name in names), *(others if last else ())])


class CommandGroup(click.Group):
    """The group of all commands; a file or a folder in place of a command means `upscale`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one is meant.

        Raises:
            UsageError: There is no such command; the message names the nearest.
        """
        name = args[0]
        if name in self.commands or name.startswith("-"):
            return super().resolve_command(ctx, args)
        if _is_input(name):
            line = f"srcli upscale {shlex.join(args)}"
            if sys.stdin.isatty() and sys.stderr.isatty():
                click.confirm(f"Run {line}?", default=True, abort=True, err=True)
                return "upscale", self.commands["upscale"], args
            raise click.UsageError(f"{name!r} is not a command; hint: {line}")
        near = difflib.get_close_matches(name.lower(), self.list_commands(ctx), 1)
        meant = _COMMANDS.get(name.lower()) or (near[0] if near else "--help")
        raise click.UsageError(f"{name!r} is not a command; hint: srcli {meant}")


def hint_for(error: click.ClickException) -> str:
    """The option that another program's option is called here; empty if none is known."""
    if isinstance(error, click.NoSuchOption):
        return _OPTIONS.get(error.option_name, "")
    return ""


def _is_input(name: str) -> bool:
    """Tell if a name is that of a file, a folder, or something that looks like one."""
    return Path(name).exists() or "/" in name or bool(Path(name).suffix)
