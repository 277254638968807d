"""Downloads as the terminal shows them, and what happens when weights are missing."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import click
from tqdm import tqdm

from srcli.cli.console import echo_line
from srcli.cli.run_options import DownloadOptions
from srcli.errors import WeightsError
from srcli.heartbeat import Heartbeat
from srcli.transfer.policy import Policy, is_switched_on
from srcli.weights import (
    Source,
    WeightsEntry,
    best_scale,
    how_to_get,
    is_from_outside,
    needs_trust,
    preparer_entries,
    require_extra,
)
from srcli.weights.catalogue import forbids_commerce
from srcli.weights.local_files import file_of, is_here

__all__ = ["fetch_all", "fetch_before_use", "host_of", "known_model", "policy_of"]

_ACCEPTED = "SRCLI_ACCEPT_LICENCES"
_UNASKED = "hint: --yes, or SRCLI_ACCEPT_LICENCES=1, downloads without asking"


def fetch_all(entries: Sequence[WeightsEntry], policy: Policy) -> int:
    """Download what is not here; a failure is reported and does not stop the others.

    Returns:
        How many are not here now.
    """
    failed = 0
    for entry in entries:
        try:
            _fetch(entry, policy)
        except WeightsError as error:
            echo_line(str(error))
            failed += 1
        else:
            click.echo(file_of(entry))
    return failed


def fetch_before_use(wanted: Iterable[tuple[str, float]], policy: Policy, *, yes: bool) -> None:
    """Download the weights that a run needs, if they are missing, after a question.

    On a terminal it asks first; elsewhere `yes`, `SRCLI_AUTO_DOWNLOAD` or `SRCLI_ACCEPT_LICENCES`
    must be set. Nothing is downloaded before all are settled.

    Args:
        wanted: Networks, or weights by name, each with its scale.
        policy: What downloads may do.
        yes: Do not ask.

    Raises:
        WeightsError: They are not here, and are not to be downloaded or cannot be; or their
            network needs a package that is not installed.
        UsageError: There are none.
    """
    chosen = [
        entry
        for model, scale in wanted
        for entry in (*preparer_entries(model), best_scale(model, scale))
    ]
    for entry in chosen:
        require_extra(entry)
    missing = {
        entry.name: entry
        for entry in chosen
        if entry.source is Source.DOWNLOAD and not is_here(entry)
    }
    settled: list[tuple[WeightsEntry, Policy]] = []
    for entry in missing.values():
        asks = not policy.offline and not (yes or _accepted(entry))
        settled.append((entry, _ask(entry, policy) if asks else policy))
    if not settled:
        return
    from srcli.weights.download import require_trust

    for entry, allowed in settled:
        if not allowed.offline:
            require_trust(entry, allowed)
    for entry, allowed in settled:
        _fetch(entry, allowed)


def known_model(model: str, policy: Policy) -> str:
    """The model for `-m`, once its files and models of OpenModelDB are known by names.

    Raises:
        UsageError: See `as_known`.
        WeightsError: See `as_known`.
    """
    if not is_from_outside(model):
        return model
    from srcli.weights.outside import as_known  # brings httpx: most runs have no use for it

    with Heartbeat(echo_line, f"looking into {model}"):
        return as_known(model, policy)


def policy_of(downloads: DownloadOptions) -> Policy:
    """Download policy from a command's options and the environment."""
    return Policy.of_environment(offline=downloads.offline, trust_first=downloads.trust_first)


def _accepted(entry: WeightsEntry) -> bool:
    """True if the environment accepts downloads under this licence.

    `SRCLI_ACCEPT_LICENCES` is 1 or "all" for any, or names licences, separated by commas.
    """
    if is_switched_on("SRCLI_AUTO_DOWNLOAD") or is_switched_on(_ACCEPTED):
        return True
    named = [one.strip().lower() for one in os.environ.get(_ACCEPTED, "").split(",")]
    return "all" in named or entry.licence.lower() in named


def _ask(entry: WeightsEntry, policy: Policy) -> Policy:
    """Ask on a terminal, also for trust where nothing can be verified; the policy after that.

    Raises:
        WeightsError: The answer is no, or there is nobody to ask.
    """
    what = _what(entry, policy)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        named = os.environ.get(_ACCEPTED)
        but = f"; {_ACCEPTED}={named} does not name that licence" if named else ""
        raise WeightsError(f"{how_to_get(entry)} ({what}){but}; {_UNASKED}")
    trusted = policy.trust_first or not needs_trust(entry)
    if not trusted:
        click.echo(
            f"Nobody publishes a hash of {entry.name}: its first download is checked by its "
            "structure, and remembered.",
            err=True,
        )
    if not click.confirm(f"Download {what}?", default=trusted, err=True):
        raise WeightsError(how_to_get(entry))
    return replace(policy, trust_first=True)


def _fetch(entry: WeightsEntry, policy: Policy) -> None:
    # Imported when needed: most runs download nothing.
    from srcli.weights.download import download

    convert = None
    if entry.converted:
        from srcli.weights.import_weights import published_content as convert
        from srcli.weights.import_weights import require_network

        require_network(entry)
    refused = policy.offline or (needs_trust(entry) and not policy.trust_first)
    if is_here(entry) or entry.source is not Source.DOWNLOAD or refused:
        download(entry, policy, convert=convert)
        return
    click.echo(f"downloading {_what(entry, policy)}", err=True)
    with tqdm(
        total=entry.size or None,
        desc=entry.name,
        unit="B",
        unit_scale=True,
        file=sys.stderr,
        disable=None,  # where stderr is no terminal
    ) as bar:

        def on_bytes(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        def on_wait() -> None:
            click.echo(f"another process is downloading {entry.name}: waiting for it", err=True)

        download(entry, policy, on_bytes, on_wait, convert)


def _what(entry: WeightsEntry, policy: Policy) -> str:
    hosts = [host_of(address) for address in policy.addresses(entry.file, entry.urls)]
    where = " or ".join(dict.fromkeys(hosts))
    size = f"{entry.size / 1e6:.1f} MB" if entry.size else "size not stated"
    but = " (non-commercial use only)" if forbids_commerce(entry.licence) else ""
    return f"{entry.name}, {size}, licence {entry.licence}{but}, from {where}"


def host_of(address: str) -> str:
    """Its host; where it is no address, what there is."""
    try:
        return urlsplit(address).hostname or address
    except ValueError:
        return address
