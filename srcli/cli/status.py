"""`srcli status` and `srcli verify`: what became of a folder of results."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srcli.cli.console import echo_fields, echo_line
from srcli.cli.option_types import PathOrUrl
from srcli.errors import ExitCode, UsageError
from srcli.heartbeat import Heartbeat
from srcli.url_paths import UrlPath

if TYPE_CHECKING:
    from srcli.jobs.journal import RunRecord
    from srcli.jobs.verify import Verification

__all__ = ["status", "verify"]

_SHOWN = 20
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, for programs.")


@click.command(short_help="Show what is done, failed and still to do in a batch.")
@click.argument("folder", metavar="FOLDER|URL|JOURNAL", type=PathOrUrl())
@_JSON
def status(folder: Path, *, as_json: bool) -> ExitCode:
    """Show which results of a batch are done, failed, and still to do.

    FOLDER or URL is the output folder of srcli upscale, JOURNAL the file of its --journal. Exit
    code 0 if all are done, else 1.
    """
    from srcli.jobs.journal import Journal
    from srcli.jobs.verify import Condition, check_quickly

    journal = Journal(folder, create=False, file=folder if folder.is_file() else None)
    if isinstance(folder, UrlPath):
        from srcli.storage import remember_folder

        remember_folder(folder)
    last = journal.last_run()
    found = list(check_quickly(folder, journal.entries().values()))
    journal.close()
    bad = [one for one in found if one.condition is not Condition.SOUND]
    if as_json:
        _print_json(found, last)
    else:
        _print_table(found, last)
    return ExitCode.SOME_FAILED if bad else ExitCode.ALL_DONE


@click.command(short_help="Check every result of a batch.")
@click.argument("place", metavar="FOLDER|FILE", type=PathOrUrl())
@_JSON
def verify(place: Path, *, as_json: bool) -> ExitCode:
    """Decode every result of a batch and compare it with the journal.

    FOLDER is the output folder of srcli upscale, or a folder in it; FILE is one result. Images
    that no journal lists are decoded, too. Exit code 0 if all are intact, else 1.
    """
    from srcli.jobs.discover import discover
    from srcli.jobs.job import State
    from srcli.jobs.verify import (
        Condition,
        Verification,
        known_results,
        verify,
        verify_unknown,
        was_made,
    )
    from srcli.media import DecodeLimits, DecoderPool

    if isinstance(place, UrlPath):
        raise UsageError(
            f"{place}: srcli verify reads files of this machine; hint: srcli status {place} "
            "compares sizes and ETags"
        )
    if not place.exists():
        raise UsageError(f"{place} does not exist; hint: check the name")
    folder = place if place.is_dir() else place.parent
    known = known_results(place, folder)
    found: list[Verification] = []
    limits = DecodeLimits(megapixels=8192, file_bytes=1 << 50, memory=64 << 30, seconds=600)
    with Heartbeat(echo_line, f"verifying {place}"), DecoderPool(limits) as decoder:
        made = {target: entry for target, entry in known.items() if was_made(folder, entry)}
        for entry in made.values():
            found.append(verify(folder, entry, decoder))
            _tell(found[-1])
        for source in discover((place,)):
            if source.settled is not None:
                if source.settled.state is State.FAILED:
                    inside = source.path.relative_to(folder)
                    found.append(Verification(inside, Condition.DAMAGED, source.settled.reason))
                    _tell(found[-1])
            elif source.path.relative_to(folder) not in made:
                found.append(verify_unknown(source.path, folder, decoder))
                _tell(found[-1])
    if as_json:
        _print_json(found, None)
    else:
        _print_table(found, None)
    good = (Condition.SOUND, Condition.UNKNOWN)
    all_good = all(one.condition in good for one in found)
    return ExitCode.ALL_DONE if all_good else ExitCode.SOME_FAILED


def _tell(one: "Verification") -> None:
    """Say at once what is wrong: verifying takes long."""
    if one.condition.value in ("missing", "altered", "damaged"):
        echo_line(f"{one.target}: {one.condition.value}, {one.reason}")


def _print_json(found: Iterable["Verification"], last: "RunRecord | None") -> None:
    outputs = [
        {"output": str(one.target), "condition": one.condition.value, "reason": one.reason}
        for one in found
    ]
    document: dict[str, object] = {"outputs": outputs}
    if last is not None:
        document["run"] = vars(last) | {"running": _is_running(last)}
    sys.stdout.write(f"{json.dumps(document)}\n")


def _print_table(found: Sequence["Verification"], last: "RunRecord | None") -> None:
    counts = Counter(_word(one) for one in found)
    rows = [(word, str(count)) for word, count in sorted(counts.items())]
    if not found:
        rows.append(("empty", "no outputs"))
    if last is not None:
        started = datetime.fromtimestamp(last.started).astimezone()
        rows.append(("last run", f"{started:%Y-%m-%d %H:%M:%S}, {_outcome(last)}"))
        rows.append(("made with", f"{last.model}, {last.resolved}, srcli {last.version}"))
    troubles = [one for one in found if one.reason]
    rows += [(f"  {_word(one)}", f"{one.target}: {one.reason}") for one in troubles[:_SHOWN]]
    if len(troubles) > _SHOWN:
        rows.append(("", f"and {len(troubles) - _SHOWN} more (--json lists all)"))
    echo_fields(rows)


def _word(one: "Verification") -> str:
    """The condition of an output for people; JSON has `Condition`'s own words."""
    return "intact" if one.condition.value == "sound" else one.condition.value


def _outcome(run: "RunRecord") -> str:
    if run.outcome is not None:
        return run.outcome
    return f"running as process {run.pid}" if _is_running(run) else "killed"


def _is_running(run: "RunRecord") -> bool:
    import psutil

    return run.ended is None and psutil.pid_exists(run.pid)
