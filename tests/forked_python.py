"""Python processes that begin with srcli and torch imported: forks of one process that imports.

A process of its own costs seconds of imports, and the tests start hundreds. Here a server, one per
test process, imports once and forks for every call (`fork_server.py`). What comes of it is a
process like any other: a child of the test, with its own pid, streams, environment, folder and
signals, that runs the given arguments and ends as an interpreter ends. Where forks are not at hand,
or the environment holds what an interpreter or torch reads as it starts, a fresh interpreter is
started instead.
"""

import atexit
import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_READ_AT_START = (
    "PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_",
    "DNNL_", "ONEDNN_", "ATEN_", "TORCH_", "PYTORCH_", "CUDA_",
)  # fmt: skip
_PR_SET_CHILD_SUBREAPER = 36
LONGEST_REQUEST = 1 << 20
_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
_ENVIRONMENT = dict(os.environ)


class ForkedPython(subprocess.Popen[Any]):
    """A `subprocess.Popen` of `[sys.executable, "-m" or "-c", …]` that imports nothing again."""

    def _execute_child(self, *arguments: Any) -> None:  # type: ignore[override]
        plain = super()._execute_child  # type: ignore[misc]
        wanted = inspect.signature(plain).bind(*arguments).arguments
        environment = dict(os.environ if wanted["env"] is None else wanted["env"])
        executable, *words = map(str, wanted["args"])
        if words[0] == "-P":  # a fork's modules are those of its server in any case
            del words[0]
        if (
            executable != sys.executable
            or words[0] not in ("-m", "-c")
            or not _can_fork(environment)
        ):
            plain(*arguments)
            return
        inner = [wanted[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        request = {
            "words": words, "environment": environment,
            "cwd": os.fspath(wanted["cwd"] or Path.cwd()), "session": wanted["start_new_session"],
        }  # fmt: skip
        self.pid = self.fork(request, [n if fd == -1 else fd for n, fd in enumerate(inner)])
        self._child_created = True
        self._close_pipe_fds(*(wanted[name] for name in _PIPES))  # type: ignore[attr-defined]

    def fork(self, request: dict[str, Any], standard: list[int]) -> int:
        return _server().fork(request, standard)


def fork_workers(process: type[subprocess.Popen[Any]] = ForkedPython) -> None:
    """Let srcli start its decoders, which it starts anew in every process, as such forks, too."""
    from srcli.media import worker_process

    forking = types.SimpleNamespace(**{**vars(subprocess), "Popen": process})
    worker_process.subprocess = forking  # type: ignore[attr-defined]


def run_forked(
    words: Sequence[object],
    *,
    input: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of a `ForkedPython` with these arguments, its text captured."""
    command = [sys.executable, *map(str, words)]
    with ForkedPython(
        command, stdin=None if input is None else subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, cwd=cwd, env=env, text=True,
    ) as process:  # fmt: skip
        try:
            said = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, *said)


def start_fresh_workers() -> None:
    """Let srcli start its decoders as it does outside of tests."""
    from srcli.media import worker_process

    worker_process.subprocess = subprocess  # type: ignore[attr-defined]


def _can_fork(environment: Mapping[str, str]) -> bool:
    return sys.platform == "linux" and _at_start(environment) == _at_start(_ENVIRONMENT)


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: v for name, v in environment.items() if name.startswith(_READ_AT_START)}


class _Server:
    """The process that has imported, at the other end of a socket."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], env=_ENVIRONMENT, cwd=ROOT,
            )  # fmt: skip
        atexit.register(self._end)

    def fork(self, request: dict[str, Any], standard: list[int]) -> int:
        """Start a process with these standard streams; its pid, that of a child of ours."""
        message = json.dumps(request).encode()
        assert len(message) < LONGEST_REQUEST
        with self._lock:
            _adopt_orphans(True)
            try:
                socket.send_fds(self._ours, [message], standard)
                answer = self._ours.recv(64)
            finally:
                _adopt_orphans(False)
        if not answer:
            raise RuntimeError(f"the fork server ended with {self._process.wait()}")
        return int(answer)

    def _end(self) -> None:
        self._ours.close()
        self._process.wait()


def _adopt_orphans(adopt: bool) -> None:
    """Let processes below us whose parent ends become our children, or not any longer."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0):
        raise OSError("no subreaper")


_servers: dict[int, _Server] = {}


def _server() -> _Server:
    """The server of this test process."""
    if os.getpid() not in _servers:
        _servers[os.getpid()] = _Server()
    return _servers[os.getpid()]
