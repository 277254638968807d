"""The other end of `forked_python.py`: the process that has imported, and what its forks do."""

import atexit
import gc
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import threading
import time
import types
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tests.forked_python import LONGEST_REQUEST, ForkedPython, fork_workers


class _ForkOfOurs(ForkedPython):
    """Start a child by forking this process, which is a fork itself."""

    def fork(self, request: dict[str, Any], standard: list[int]) -> int:
        pid = os.fork()
        if not pid:
            _forget()
            _be(request, standard)
        return pid


def _serve(ours: socket.socket) -> None:
    """Fork for every request, until no more come; the time between goes into `_prepare`."""
    chores = _prepare()
    while True:
        while not select.select([ours], [], [], 0)[0] and next(chores, None):
            pass
        message, standard, _, _ = socket.recv_fds(ours, LONGEST_REQUEST, 3)
        if not message:
            return
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
            _be(json.loads(message), standard)
        os.waitpid(between, 0)
        ours.send(os.read(told, 64))
        for fd in (*standard, told, tell):
            os.close(fd)


def _forget() -> None:
    """Leave what the program that we were forked from had yet to do to that program."""
    _others.extend((sys.stdin, sys.stdout, sys.stderr))  # or their buffers would be flushed
    atexit._clear()
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)


_others: list[object] = []


def _be(request: dict[str, Any], standard: list[int]) -> NoReturn:
    """Do in this process, just forked, what was asked for, and end it."""
    ending: BaseException | None = None
    try:
        streams = [os.dup(fd) for fd in standard]  # one may have the number of another
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        _become(request)
        _run(*request["words"])
    except BaseException as error:  # noqa: BLE001 (all end the process)
        ending = error
    _end(ending)


def _become(request: dict[str, Any]) -> None:
    """Make this process what a fresh interpreter with a request's arguments would be."""
    fork_workers(_ForkOfOurs)
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
    import srcli

    for module in pkgutil.walk_packages(srcli.__path__, "srcli."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    import_module("torch._dynamo")  # as torch's optimizers do
    from PIL import Image

    Image.init()
    _keep()


def _prepare() -> Iterator[str]:
    """Step by step, what a process computes once and all compute alike: the networks' shapes."""
    from srcli.models import model_names, model_spec
    from srcli.weights.identify import expected_shapes

    for model in model_names():
        for scale in model_spec(model).scales:
            expected_shapes(model, scale)
            yield model
    _keep()


def _keep() -> None:
    """Leave what there is to all forks."""
    gc.collect()
    gc.freeze()
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    assert threads == 1, f"{threads} threads: a fork would lose all but one, with their locks"


def main() -> None:
    """Serve until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    _import_everything()
    with socket.socket(fileno=int(sys.argv[1])) as ours:
        _serve(ours)


if __name__ == "__main__":
    main()
