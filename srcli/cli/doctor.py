"""`srcli doctor`: what srcli finds on this machine, and whether its devices compute rightly."""

import json

import click

from srcli.cli.console import echo_fields, loading
from srcli.errors import ExitCode

__all__ = ["doctor"]


@click.command(short_help="Check this machine: devices, encoders, weights, versions.")
@click.option(
    "--device", default="all", show_default=True, help="Which to test: all, cpu, cuda:1, mps."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, for programs.")
def doctor(device: str, *, as_json: bool) -> ExitCode:
    """Show what srcli finds on this machine, and test every device for some five seconds.

    Each device computes a small image, which is compared with the CPU's. Exit code 0 if all
    agree, else 1. Put the output into a report of a problem.
    """
    with loading():
        from srcli.cli.doctor_output import machine_rows, shown, versions_here, with_verdicts
        from srcli.inference.device import pick_device
        from srcli.inference.self_check import all_devices, self_test
        from srcli.media.video import hardware_encoders
        from srcli.weights import known
        from srcli.weights.local_files import is_here

    chosen = all_devices() if device == "all" else [pick_device(device)]
    versions = dict(versions_here())
    encoders = hardware_encoders()
    weights = [entry.name for entry in known() if is_here(entry)]
    if not as_json:
        echo_fields(machine_rows(versions, encoders, weights))
    tests = [shown(self_test(one), as_json=as_json) for one in chosen]
    if as_json:
        found = {"versions": versions, "encoders": encoders, "weights": weights}
        click.echo(
            json.dumps(found | {"devices": [with_verdicts(test) for test in tests]}, indent=2)
        )
    return ExitCode.ALL_DONE if all(test.passed for test in tests) else ExitCode.SOME_FAILED
