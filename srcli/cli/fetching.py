"""Downloads as the terminal shows them, and what happens when weights are missing."""

import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

import click
from tqdm import tqdm

from srcli.cli.printable import tell
from srcli.errors import WeightsError
from srcli.weights import Source, WeightsEntry, best_scale, how_to_get
from srcli.weights.places import file_of, is_here
from srcli.weights.policy import Policy, is_switched_on

__all__ = ["fetch_all", "fetch_before_use"]


def fetch_all(entries: Sequence[WeightsEntry], policy: Policy) -> int:
    """Download what is not here; a failure is told and does not stop the others.

    Returns:
        How many are not here now.
    """
    failed = 0
    for entry in entries:
        try:
            _fetch(entry, policy)
        except WeightsError as error:
            tell(str(error))
            failed += 1
        else:
            click.echo(file_of(entry))
    return failed


def fetch_before_use(model: str, scale: float, *, yes: bool, offline: bool) -> None:
    """Download the weights that a run needs, if they are not here and that is wanted.

    On a terminal it asks first; elsewhere `yes` or `SRCLI_AUTO_DOWNLOAD` must be set.

    Raises:
        WeightsError: They are not here, and are not to be downloaded or cannot be.
        UsageError: There are none.
    """
    entry = best_scale(model, scale)
    if entry.source is not Source.DOWNLOAD or is_here(entry):
        return
    policy = Policy.of_environment(offline=offline)
    if not policy.offline and not (yes or is_switched_on("SRCLI_AUTO_DOWNLOAD")):
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise WeightsError(
                f"{how_to_get(entry)} ({_what(entry, policy)}); or upscale with --yes, or set "
                "SRCLI_AUTO_DOWNLOAD=1"
            )
        if not click.confirm(f"Download {_what(entry, policy)}?", default=True, err=True):
            raise WeightsError(how_to_get(entry))
    _fetch(entry, policy)


def _fetch(entry: WeightsEntry, policy: Policy) -> None:
    # Imported when needed: most runs download nothing.
    from srcli.weights.download import download

    if is_here(entry) or entry.source is not Source.DOWNLOAD or policy.offline:
        download(entry, policy)
        return
    click.echo(f"downloading {_what(entry, policy)}", err=True)
    with tqdm(
        total=entry.size,
        desc=entry.name,
        unit="B",
        unit_scale=True,
        file=sys.stderr,
        disable=None,  # where stderr is no terminal
    ) as bar:

        def on_bytes(done: int, _: int) -> None:
            bar.update(done - bar.n)

        def on_wait() -> None:
            click.echo(f"another process is downloading {entry.name}: waiting for it", err=True)

        download(entry, policy, on_bytes, on_wait)


def _what(entry: WeightsEntry, policy: Policy) -> str:
    hosts = [_host(address) for address in policy.addresses(entry)]
    where = " or ".join(dict.fromkeys(hosts))
    return f"{entry.name}, {entry.size / 1e6:.1f} MB, licence {entry.licence}, from {where}"


def _host(address: str) -> str:
    """Its host; where it is no address, what there is."""
    try:
        return urlsplit(address).hostname or address
    except ValueError:
        return address
