"""Options of `srcli upscale` for several processes and machines."""

from dataclasses import dataclass

import click

from srcli.cli.click_classes import Decorator, grouped
from srcli.errors import UsageError
from srcli.extras import CLIENT, CLUSTER_HINT, LOCAL, ray_is_here

__all__ = ["ClusterOptions", "cluster_options"]


@dataclass(frozen=True)
class ClusterOptions:
    """Options of a cluster; without an address there is none."""

    address: str | None
    workers: int | None
    gpus_per_worker: float | None

    def __post_init__(self) -> None:
        """Check that the options go together, and that Ray is there.

        Raises:
            UsageError: They do not.
        """
        given = {"--workers": self.workers, "--gpus-per-worker": self.gpus_per_worker}
        for name, value in given.items():
            if value is not None and self.address is None:
                raise UsageError(f"{name} {value:g} is for a cluster; hint: add --cluster local")
        if self.address is not None and not ray_is_here():
            raise UsageError(
                f"--cluster {self.address} needs Ray, which is not installed; hint: {CLUSTER_HINT}"
            )


def _address(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Check the address of a cluster."""
    if value is None or value in (LOCAL, "auto"):
        return value
    host, _, port = value.removeprefix(CLIENT).rpartition(":")
    if not (value.startswith(CLIENT) and host and port.isdecimal()):
        raise click.BadParameter(
            f"{value!r} is none of local, auto and ray://HOST:PORT; hint: --cluster local uses "
            "this machine"
        )
    return value


cluster_options: Decorator = grouped(
    "cluster",
    ClusterOptions,
    click.option(
        "--cluster",
        "address",
        metavar="ADDRESS",
        callback=_address,
        help="Share the images out with Ray: local (processes on this machine, one a GPU), auto "
        "(the cluster it is a node of) or ray://HOST:PORT. Needs srcli[cluster].",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        help="Number of workers.  [default: one a GPU, or one a machine without]",
    ),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0),
        metavar="FLOAT",
        help="GPUs of a worker; 0.5 shares one, 0 takes cores.  [default: 1 if there are any]",
    ),
)
