"""A Ray cluster of two nodes on this machine, for the tests that need one."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from srcli.extras import ray_is_here

CLIENT_PORT = 10_047
SMALL_STORE = {"object_store_memory": 80 << 20, "include_dashboard": False}
WITH_RAY = ("test_clips.py", "test_losses.py", "test_two_nodes.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    absent = pytest.mark.skip(reason="Ray is absent: pip install 'srcli[cluster]'")
    for item in items:
        if item.path.parent == here and item.path.name in WITH_RAY:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # Ray's own, of other packages
            if not ray_is_here():
                item.add_marker(absent)


@pytest.fixture(scope="session")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster: its head, and a node with a name of its own; each has one core for workers."""
    before = dict(os.environ)
    os.environ.update(
        OMP_NUM_THREADS="1",
        RAY_USAGE_STATS_ENABLED="0",
        SRCLI_CACHE=str(tmp_path_factory.mktemp("nodes")),  # another than the drivers'
    )
    cluster = import_module("ray.cluster_utils").Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "ray_client_server_port": CLIENT_PORT,
            "runtime_env_agent_port": CLIENT_PORT + 1,  # clients do not find one chosen at random
            **SMALL_STORE,
        },
    )
    try:
        cluster.add_node(num_cpus=1, **SMALL_STORE)
        cluster.wait_for_nodes()
        os.environ.clear()
        os.environ.update(before)
        yield cluster
    finally:
        cluster.shutdown()
