"""The connection to Ray: a cluster that runs, or one on this machine alone."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from srcli.cluster.worker_sizes import NodeResources
from srcli.errors import UsageError
from srcli.extras import CLIENT, LOCAL
from srcli.inference.device import usable_cores

__all__ = ["connected", "node_resources"]

_ANSWER_SECONDS = 10
_CLIENT_ATTEMPTS = 3
_RETRY_SECONDS = 2.0
_STORE_BYTES = 256 << 20  # of this machine's memory; nothing but weights is kept there
_TROUBLE = (ConnectionError, RuntimeError, ValueError, ImportError, AssertionError, OSError)


@contextmanager
def connected(address: str) -> Generator[Any]:
    """Connect to a cluster, and part from it again.

    Args:
        address: `LOCAL`, "auto" for the one that this machine is a node of, or ray://HOST:PORT.

    Yields:
        Ray's module.

    Raises:
        UsageError: No such cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # srcli tells nobody anything
    ray = import_module("ray")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    with _own_signal_handlers():
        try:
            if address == LOCAL:
                ray.init(
                    address=LOCAL,
                    num_cpus=usable_cores(),
                    include_dashboard=False,
                    object_store_memory=_STORE_BYTES,
                    **quiet,
                )
            elif address.startswith(CLIENT):
                _require_answer(address)
                _connect_client(ray, address, quiet)
            else:
                ray.init(address=address, **quiet)
        except _TROUBLE as error:
            with contextlib.suppress(*_TROUBLE):
                ray.shutdown()
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(
                f"--cluster {address}: {reason[:300]}; hint: ray start --head on one machine and "
                "ray start --address on the others, or --cluster local"
            ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Try the address of a client once; Ray itself would try for half a minute.

    Raises:
        OSError: Nobody answers.
    """
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()


def _connect_client(ray: Any, address: str, options: dict[str, Any]) -> None:  # noqa: ANN401
    """Connect as a client, again if the process that the head starts for it did not come up.

    Raises:
        ConnectionAbortedError: It did not in any attempt.
    """
    for attempt in range(1, _CLIENT_ATTEMPTS + 1):
        try:
            ray.init(address=address, **options)
        except ConnectionAbortedError:
            ray.shutdown()
            if attempt == _CLIENT_ATTEMPTS:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def node_resources(ray: Any) -> list[NodeResources]:  # noqa: ANN401 see above
    """Cores and GPUs of every node that is alive."""
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [NodeResources(int(one.get("CPU", 0)), float(one.get("GPU", 0))) for one in resources]


@contextmanager
def _own_signal_handlers() -> Generator[None]:
    """Keep the handlers of Ctrl-C and SIGTERM, which Ray would replace."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
