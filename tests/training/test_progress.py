"""The bar of `srcli train` on a terminal of 80 columns."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from srcli.cli.train_progress import TrainingBar
from srcli.training.loggers import describe_teacher_pass
from srcli.training.reports import StepReport, TeacherReport, ValidationReport
from tests.forked_python import ForkedPython

REPORT = StepReport(
    step=12340, done=0.25, minutes=30.0, restoration=13.214, uncertainty=12.31, gradient=1234.5,
    learning_rate=2e-4, halting=True, samples_per_second=1234.56, waiting=0.03,
    correlation=(0.93, -0.12, 0.9, 0.88, -0.81, -0.7), live_windows=(1, 0.97, 0.8, 0.66, 0.57, 0.4),
)  # fmt: skip
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80)


def lines_of(drawn: str) -> list[str]:
    """Progress on a terminal, drawn over or not; bar and figures stay within its width."""
    lines = [line for line in re.split(r"[\r\n]+", CONTROL.sub("", drawn)) if line]
    assert max(len(line) for line in lines if not line.startswith("warning: ")) <= 80, lines
    return lines


def shown(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return lines_of(console.file.getvalue())


def test_bar_figures_and_layers_each_have_a_line_of_their_own() -> None:
    console = terminal()
    with TrainingBar(console, 20) as bar:
        bar.on_step(REPORT)
    head, losses, layers = shown(console)[-3:]
    assert re.match(
        r" 25 % [━╺╸]+ 0:00:0\d time left 1:30:00  1234\.56 samples/s  waiting 3 %", head
    )
    assert losses == "step 12340  L1 13.214  uncertainty 12.31  gradient 1234.5  lr 2.0e-04"
    assert layers == ("correlation 0.93 -0.12 0.90 0.88 -0.81 -0.70  live 100 97 80 66 57 40 %")


def test_a_teacher_has_a_line_of_its_own() -> None:
    console = terminal()
    with TrainingBar(console, 20) as bar:
        bar.on_teacher(TeacherReport(120, 391, 3725.0))
        bar.on_step(replace(REPORT, teacher=4.5678, teacher_weight=0.8))
    lines = shown(console)
    assert lines[-2] == "teacher L1 4.568  weight 0.80"
    assert describe_teacher_pass(TeacherReport(120, 391, 3725.0)) == (
        "teacher: 120 of 391 images  time left 1:02:05"
    )


def test_something_is_shown_before_the_first_report() -> None:
    console = terminal()
    with TrainingBar(console, 20):
        pass
    head, figures = shown(console)[-2:]
    assert re.match(r"  0 % [━╺╸]+ 0:00:0\d time left -:--:--", head)
    assert figures == "the first figures come after 20 steps"


@pytest.mark.parametrize(
    ("done", "left"),
    [(0.0, "-:--:--"), (0.5, "0:30:00"), (1.0, "0:00:00"), (0.002, "249:30:00")],
)
def test_time_left_goes_by_the_pace_of_the_whole_run(done: float, left: str) -> None:
    console = terminal()
    with TrainingBar(console, 20) as bar:
        bar.on_step(replace(REPORT, done=done))
    assert f"time left {left} " in shown(console)[-3]


def test_a_network_without_layers_has_no_line_for_them() -> None:
    console = terminal()
    with TrainingBar(console, 20) as bar:
        bar.on_step(replace(REPORT, correlation=(), live_windows=()))
    assert shown(console)[-1].startswith("step 12340  L1 13.214")


def test_what_is_said_stands_above_the_bar() -> None:
    console = terminal()
    with TrainingBar(console, 20) as bar:
        bar.warn("skipped hr/[bold]x.png: broken")
        bar.on_validation(ValidationReport(3, 1.5, {"Set5": 30.1}, {}))
        bar.finish()
    lines = shown(console)
    assert "warning: skipped hr/[bold]x.png: broken" in lines
    assert "step 3  PSNR-Y  Set5 30.100" in lines
    assert lines[-2].startswith("100 %")


def test_the_command_draws_it_on_a_terminal(config_toml: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = [sys.executable, "-m", "srcli", "train", str(config_toml), "--steps", "2"]
    variables = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "NO_COLOR"}}
    with ForkedPython(
        [*words, "--out", str(tmp_path / "run")],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env={**variables, "TERM": "xterm"},
    ) as running:  # fmt: skip
        os.close(theirs)
        drawn = b""
        while chunk := _read(ours):
            drawn += chunk
        assert running.wait() == 0, drawn
    os.close(ours)
    lines = lines_of(drawn.decode())
    assert any(line.startswith("the first figures come after 1 step") for line in lines)
    assert any(line.startswith("step 2  L1 ") for line in lines)
    assert any(re.match(r"correlation .* live 100 \d+ \d+ %$", line) for line in lines)
    bars = [line for line in lines if "━" in line]
    assert bars[-1].startswith("100 % ━")


def _read(terminal: int) -> bytes:
    """Drawn text; nothing once the process has closed its side."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
