"""The options of commands that download weights which are missing."""

from dataclasses import dataclass

import click

from srcli.cli.grouping import Decorator, grouped

__all__ = ["Downloads", "download_options", "offline_option", "trust_first_option", "yes_option"]

yes_option: Decorator = click.option(
    "-y", "--yes", is_flag=True, help="Download missing weights without asking."
)
trust_first_option: Decorator = click.option(
    "--trust-first",
    is_flag=True,
    help="Also weights without a published hash, if their structure is right; the first "
    "download counts from then on (or SRCLI_TRUST_FIRST=1).",
)
offline_option: Decorator = click.option(
    "--offline", is_flag=True, help="Do not use the internet (or SRCLI_OFFLINE=1)."
)


@dataclass(frozen=True)
class Downloads:
    """Options about downloading weights that are missing."""

    yes: bool
    trust_first: bool
    offline: bool


download_options: Decorator = grouped(
    "downloads", Downloads, yes_option, trust_first_option, offline_option
)
