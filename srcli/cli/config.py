"""`srcli config show`: which settings hold, and where each came from."""

import json

import click

from srcli.cli.settings_file import default_of, read_settings

__all__ = ["config"]


@click.group()
def config() -> None:
    """Show the settings of srcli.toml and where each came from."""


@config.command(short_help="Show the options of a command and their sources.")
@click.argument("command", default="upscale")
def show(command: str) -> None:
    """Show the options of a command that have a value, and its source; the others by name.

    What is typed on the command line wins over srcli.toml in the current folder, and that over
    srcli.toml in the user's configuration folder.
    """
    root = click.get_current_context().find_root().command
    assert isinstance(root, click.Group)
    if command not in root.commands:
        raise click.BadParameter(f"{command!r} (have {', '.join(sorted(root.commands))})")
    settings = read_settings(root).get(command, {})
    unset: list[str] = []
    for parameter in root.commands[command].params:
        if not isinstance(parameter, click.Option):
            continue
        name = max(parameter.opts, key=len).removeprefix("--")
        setting = settings.get(parameter.name)
        value = setting.value if setting else default_of(parameter)
        if setting is None and value in (None, "", False):
            unset.append(name)
            continue
        origin = str(setting.file) if setting else "default"
        click.echo(f"{name} = {json.dumps(value)}  # {origin}")
    if unset:
        click.echo(f"# not set: {', '.join(unset)}")
