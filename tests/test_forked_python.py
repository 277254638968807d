"""A fork of what has imported is, in all that tests look at, like a fresh interpreter."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.forked_python import ForkedPython, run_forked

# What a process can tell of itself, but for what it has imported.
SELF = """
import json, os, signal, sys
print(json.dumps({
    "argv": sys.argv, "path": sys.path[0], "cwd": os.getcwd(), "name": __name__,
    "environment": dict(os.environ), "parent": os.getppid(), "group": os.getpgid(0),
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "pipe": signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN,
    "streams": [(s.fileno(), s.encoding, s.errors, s.line_buffering, s.isatty())
                for s in (sys.stdin, sys.stdout, sys.stderr)],
    "files": len(os.listdir("/proc/self/fd")), "read": sys.stdin.read(),
}))
sys.stderr.write("said")
raise SystemExit(7)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are used on Linux")


def fresh(*words: object, text: str = "", cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=cwd, env=os.environ, check=False
    )


def test_a_fork_is_as_a_fresh_process(tmp_path: Path) -> None:
    words = ("-c", SELF, "a", "--b")
    forked = run_forked(words, input="typed", cwd=tmp_path)
    plain = fresh(*words, text="typed", cwd=tmp_path)
    assert json.loads(forked.stdout) == json.loads(plain.stdout)
    assert json.loads(forked.stdout)["parent"] == os.getpid()
    assert (forked.returncode, forked.stderr) == (plain.returncode, plain.stderr) == (7, "said")


@pytest.mark.parametrize(
    "program",
    ["1 / 0", "raise SystemExit('reason')", "raise SystemExit", "import os; os._exit(3)",
     "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "raise KeyboardInterrupt",
     "import atexit; atexit.register(print, 'last')",
     "import threading, time\nthreading.Timer(0.1, print, ['late']).start()"],
)  # fmt: skip
def test_a_fork_ends_as_a_fresh_process_ends(program: str, tmp_path: Path) -> None:
    forked, plain = run_forked(["-c", program], cwd=tmp_path), fresh("-c", program, cwd=tmp_path)
    assert (forked.returncode, forked.stdout) == (plain.returncode, plain.stdout)
    assert forked.stderr.splitlines()[-1:] == plain.stderr.splitlines()[-1:]


def test_signals_reach_a_fork() -> None:
    program = "import time\nprint('here', flush=True)\ntime.sleep(600)"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with ForkedPython(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"here\n"
            process.send_signal(number)
        assert process.returncode == -number


@pytest.mark.slow
def test_the_command_gives_the_same_in_a_fresh_interpreter(
    tmp_path: Path, photo: np.ndarray
) -> None:
    Image.fromarray(photo[:24, :32]).save(tmp_path / "a.png")
    call = ("-m", "srcli", "upscale", "a.png", "-m", "adaformer-s", "--quiet", "-o")
    forked, plain = run_forked([*call, "b.png"], cwd=tmp_path), fresh(*call, "c.png", cwd=tmp_path)
    assert (forked.returncode, forked.stdout) == (plain.returncode, plain.stdout), plain.stderr
    assert forked.returncode == 0, forked.stderr
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()


DECODING = """
import atexit, os, sys
from pathlib import Path
from srcli.media import DecodeLimits, DecoderProcess
atexit.register(lambda: Path("ended").write_text(Path("ended").read_text() + "x"))
Path("ended").write_text("")
print("before")
with DecoderProcess(DecodeLimits()) as decoder:
    image = decoder.read(Path("a.png")).image
    worker = decoder._worker
    print(image.pixels.sum(), type(worker).__name__, worker.poll())
    worker.stdin.close()
    print(worker.wait())
"""


def test_a_forks_decoder_is_a_fork_of_it_and_leaves_its_work_alone(
    tmp_path: Path, photo: np.ndarray
) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    forked, plain = run_forked(["-c", DECODING], cwd=tmp_path), fresh("-c", DECODING, cwd=tmp_path)
    expected = f"before\n{photo.sum()} Popen None\n0\n"
    assert (plain.stdout, plain.stderr) == (expected, "")
    assert forked.stdout == expected.replace("Popen", "_ForkOfOurs"), forked.stderr
    assert (tmp_path / "ended").read_text() == "x"
