"""Python processes that begin with srcli and torch imported: forks of one process that imports.

A process of its own costs seconds of imports, and the tests start hundreds. Here a server, one per
test process, imports once and forks for every call. What comes of it is a process like any other:
a child of the test, with its own pid, streams, environment, folder and signals, that runs the given
arguments and ends as an interpreter ends. Where forks are not at hand, or the environment holds
what an interpreter or torch reads as it starts, a fresh interpreter is started instead.
"""

import atexit
import ctypes
import gc
import inspect
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
_READ_AT_START = (
    "PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_",
    "DNNL_", "ONEDNN_", "ATEN_", "TORCH_", "PYTORCH_", "CUDA_",
)  # fmt: skip
_PR_SET_CHILD_SUBREAPER = 36
_LONGEST_REQUEST = 1 << 20
_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
_ENVIRONMENT = dict(os.environ)


class ForkedPython(subprocess.Popen[Any]):
    """A `subprocess.Popen` of `[sys.executable, "-m" or "-c", …]` that imports nothing again."""

    def _execute_child(self, *arguments: Any) -> None:  # type: ignore[override]
        plain = super()._execute_child  # type: ignore[misc]
        wanted = inspect.signature(plain).bind(*arguments).arguments
        environment = dict(os.environ if wanted["env"] is None else wanted["env"])
        words = list(map(str, wanted["args"]))
        if words[0] != sys.executable or words[1] not in ("-m", "-c") or not _can_fork(environment):
            plain(*arguments)
            return
        inner = [wanted[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        request = {
            "words": words[1:], "environment": environment,
            "cwd": os.fspath(wanted["cwd"] or Path.cwd()), "session": wanted["start_new_session"],
        }  # fmt: skip
        self.pid = _server().fork(request, [n if fd == -1 else fd for n, fd in enumerate(inner)])
        self._child_created = True
        self._close_pipe_fds(*(wanted[name] for name in _PIPES))  # type: ignore[attr-defined]


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
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()], env=_ENVIRONMENT, cwd=ROOT,
            )  # fmt: skip
        atexit.register(self._end)

    def fork(self, request: dict[str, Any], standard: list[int]) -> int:
        """Start a process with these standard streams; its pid, that of a child of ours."""
        message = json.dumps(request).encode()
        assert len(message) < _LONGEST_REQUEST
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


def _serve(ours: socket.socket) -> dict[str, Any] | None:
    """Fork for every request: the request in the new process, and nothing once no more come."""
    while True:
        message, standard, _, _ = socket.recv_fds(ours, _LONGEST_REQUEST, 3)
        if not message:
            return None
        told, tell = os.pipe()
        between = os.fork()
        if not between:
            parent = os.getpid()
            pid = os.fork()  # whose parent ends: the test process takes it
            if pid:
                os.write(tell, str(pid).encode())
                os._exit(0)
            for fd in (ours.detach(), told, tell):
                os.close(fd)
            while os.getppid() == parent:
                time.sleep(0.001)
            for number, fd in enumerate(standard):
                os.dup2(fd, number)
                os.close(fd)
            return json.loads(message)
        os.waitpid(between, 0)
        ours.send(os.read(told, 64))
        for fd in (*standard, told, tell):
            os.close(fd)


def _become(request: dict[str, Any]) -> None:
    """Make this process what a fresh interpreter with a request's arguments would be."""
    if request["session"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        unbuffered = number > 0 and before.write_through
        binary = open(  # noqa: SIM115
            number, "wb" if number else "rb", 0 if unbuffered else -1, closefd=False
        )
        stream = io.TextIOWrapper(
            binary, before.encoding, before.errors, write_through=unbuffered,
            line_buffering=not unbuffered and (binary.isatty() or name == "stderr"),
        )  # fmt: skip
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run(how: str, what: str, *arguments: str) -> None:
    """Run `-m module` or `-c program` as an interpreter does."""
    sys.argv = [how, *arguments]
    sys.path[0] = "" if how == "-c" else str(Path.cwd())
    if how == "-m":
        sys.modules.pop(what, None)
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        exec(compile(what, "<string>", "exec"), module.__dict__)


def _end(error: BaseException | None) -> NoReturn:
    """End as an interpreter does, but for the seconds in which it would take all modules down."""
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
    elif isinstance(error, KeyboardInterrupt):
        sys.excepthook(type(error), error, error.__traceback__)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    elif error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for those that are no daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120
    os._exit(code & 0xFF)


def _import_everything() -> None:
    sys.path[0] = str(ROOT)
    import srcli

    for module in pkgutil.walk_packages(srcli.__path__, "srcli."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    import_module("torch._dynamo")  # as torch's optimizers do
    from PIL import Image

    Image.init()
    gc.collect()
    gc.freeze()
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    assert threads == 1, f"{threads} threads: a fork would lose all but one, with their locks"


def main() -> None:
    """Serve until nobody asks; in the processes forked, run what was asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    _import_everything()
    with socket.socket(fileno=int(sys.argv[1])) as ours:
        request = _serve(ours)
    if request is not None:
        ending: BaseException | None = None
        try:
            _become(request)
            _run(*request["words"])
        except BaseException as error:  # noqa: BLE001 (all end the process)
            ending = error
        _end(ending)


if __name__ == "__main__":
    main()
