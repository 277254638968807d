"""Batches of small images, and `srcli upscale` on a cluster in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from srcli.jobs.journal import Entry, Journal

SMALL = ("-m", "adaformer-s", "--effort", "fast", "--precision", "fp32", "--no-disk-check")
COMMAND = (sys.executable, "-m", "srcli", "upscale")
PATIENCE = 120  # seconds


def environment(cluster: Any, **more: str) -> dict[str, str]:
    """Of a driver: it finds the cluster as one that runs on its machine."""
    address = {"RAY_ADDRESS": cluster.address} if cluster is not None else {}
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **address, **more}


def upscale(
    cluster: Any, *arguments: object, cwd: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    """The command, ended."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd, env=environment(cluster, **more), capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip


@contextmanager
def running(cluster: Any, *arguments: object, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, as a shell starts it."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd, env=environment(cluster), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def images(folder: Path, count: int, *, bad: int = 0, side: int = 24) -> Path:
    """Write PNG and JPEG images of noise, and files that are none."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(count - bad):
        pixels = rng.integers(0, 256, (side, side + number, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.{'png' if number % 2 else 'jpg'}")
    for number in range(bad):
        (folder / f"bad{number}.png").write_bytes(b"no image")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every result, by its name."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".")
    }


def events_of_equal_run(cluster: Any, folder: Path) -> list[dict[str, Any]]:
    """Upscale `in` to `plain` without the cluster, to `out` with it, alike; the latter's events."""
    plain = upscale(None, "in", "-o", "plain", *SMALL, cwd=folder)
    ended = upscale(cluster, "in", "-o", "out", *SMALL, "--cluster", "auto", "--json", cwd=folder)
    assert plain.returncode == ended.returncode == 0, ended.stderr
    assert contents(folder / "out") == contents(folder / "plain")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def skipped(summary: str) -> int:
    """The number of skipped inputs in a run's summary."""
    return int(re.search(r"^skipped +(\d+)$", summary, re.MULTILINE)[1])  # type: ignore[index]


def journal(folder: Path) -> dict[Path, Entry]:
    """Everything that the journal of a folder knows."""
    opened = Journal(folder, create=False)
    try:
        return opened.entries()
    finally:
        opened.close()


def client_server_logs() -> str:
    """The ends of what the processes that serve clients wrote, for a failure's message."""
    folder = Path(tempfile.gettempdir()) / "ray" / "session_latest" / "logs"
    return "".join(
        f"\n{path.name}: {path.read_text(errors='replace')[-2000:]}"
        for path in sorted(folder.glob("ray_client_server*"))
    )


def workers() -> list[psutil.Process]:
    """The processes of workers that run on this machine."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [""])[0].startswith("ray::ClusterWorker")
    ]


def wait_for(what: Any, patience: float = PATIENCE) -> Any:
    """Wait until `what()` is true, and return it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise TimeoutError


def decoding(process: psutil.Process) -> bool:
    """Tell if a worker has begun with an image: it has a decoder."""
    try:
        return bool(process.children())
    except psutil.NoSuchProcess:
        return False


def kill(process: psutil.Process | subprocess.Popen[str]) -> None:
    """End a process as the system does when memory runs out."""
    process.send_signal(signal.SIGKILL)
