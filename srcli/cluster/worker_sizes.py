"""Number and size of a cluster's workers, by what its nodes have."""

from collections.abc import Sequence
from dataclasses import dataclass

from srcli.errors import UsageError

__all__ = ["NodeResources", "WorkerSize", "worker_size"]


@dataclass(frozen=True)
class NodeResources:
    """Cores and GPUs that a node gives to Ray."""

    cores: int
    gpus: float


@dataclass(frozen=True)
class WorkerSize:
    """Number of workers, and the share of the cluster that each gets.

    Args:
        count: Of workers.
        cores: Of each.
        gpus: Of each; a fraction shares one.
    """

    count: int
    cores: int
    gpus: float


def worker_size(
    nodes: Sequence[NodeResources], workers: int | None, gpus_each: float | None
) -> WorkerSize:
    """Share the nodes out: by default a worker a GPU, or one a node where there are none.

    Args:
        nodes: Of the cluster.
        workers: How many are asked for; None: see above.
        gpus_each: GPUs of a worker; None: 1 where the cluster has any, else 0.

    Raises:
        UsageError: The cluster has too few cores or GPUs.

    >>> worker_size([NodeResources(8, 2), NodeResources(4, 0)], None, None)
    WorkerSize(count=2, cores=4, gpus=1)
    >>> worker_size([NodeResources(8, 0), NodeResources(4, 0)], 3, None)
    WorkerSize(count=3, cores=4, gpus=0)
    """
    if gpus_each is None:
        gpus_each = 1 if any(node.gpus >= 1 for node in nodes) else 0
    if workers is None:
        workers = _fitting(nodes, 1, gpus_each)
        if not gpus_each:
            workers = sum(node.cores > 0 for node in nodes)
    most_cores = max((node.cores for node in nodes), default=0)
    for cores in range(most_cores, 0, -1):
        if workers and _fitting(nodes, cores, gpus_each) >= workers:
            return WorkerSize(workers, cores, gpus_each)
    have = f"{sum(n.cores for n in nodes)} cores and {sum(n.gpus for n in nodes):g} GPUs"
    fit = _fitting(nodes, 1, gpus_each)
    raise UsageError(
        f"--workers {max(workers, 1)} with a core and {gpus_each:g} GPUs each: the cluster has "
        f"{have}, enough for {fit}; hint: --workers {fit or 1}"
        f"{' --gpus-per-worker 0' if gpus_each and not fit else ''}"
    )


def _fitting(nodes: Sequence[NodeResources], cores: int, gpus: float) -> int:
    """Number of workers of a size that the nodes hold."""
    return sum(
        min(node.cores // cores, int(node.gpus / gpus + 1e-9)) if gpus else node.cores // cores
        for node in nodes
    )
