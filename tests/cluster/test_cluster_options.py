"""Options of a cluster that do not go together, and a machine without Ray."""

from pathlib import Path

import pytest

from srcli.cli.cluster_options import ClusterOptions
from srcli.errors import UsageError
from srcli.extras import ray_is_here
from tests.cli.processes import srcli


@pytest.mark.skipif(ray_is_here(), reason="Ray is here")
def test_without_ray_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    ended = srcli("upscale", "x.png", "--cluster", "local", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.strip().endswith(
        "--cluster local needs Ray, which is not installed; hint: pip install 'srcli[cluster]' "
        "adds Ray"
    )
    assert len(ended.stderr.splitlines()) == 1


def test_options_of_a_cluster_need_one() -> None:
    with pytest.raises(UsageError, match="--workers 2 is for a cluster; hint: add --cluster"):
        ClusterOptions(None, 2, None)
    with pytest.raises(UsageError, match=r"--gpus-per-worker 0\.5 is for a cluster"):
        ClusterOptions(None, None, 0.5)


def test_address_of_no_kind(tmp_path: Path) -> None:
    ended = srcli("upscale", "x.png", "--cluster", "10.0.0.1", cwd=tmp_path)
    assert ended.returncode == 2
    assert "'10.0.0.1' is none of local, auto and ray://HOST:PORT" in ended.stderr
