"""`srcli completion`: the script that makes a shell complete srcli's commands and options."""

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]

_HOW = {
    "bash": 'add to ~/.bashrc: eval "$(srcli completion bash)"',
    "zsh": 'add to ~/.zshrc: eval "$(srcli completion zsh)"',
    "fish": "run: srcli completion fish > ~/.config/fish/completions/srcli.fish",
}


@click.command(epilog="\b\n" + "\n".join(f"{shell}: {how}" for shell, how in _HOW.items()))
@click.argument("shell", type=click.Choice(list(_HOW)))
def completion(shell: str) -> None:
    """Print the completion script for a shell."""
    kind = get_completion_class(shell)
    assert kind is not None, f"click completes {shell}"
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "srcli", "_SRCLI_COMPLETE").source())
