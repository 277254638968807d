"""Output of commands fits 80 columns, and no word of it is broken."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from srcli.benchmark.tables import Table
from srcli.cli.bench_output import print_tables
from srcli.cli.console import echo_fields
from srcli.cli.main import main

WIDTH = 80
NAMES = [  # as `bench` calls a network at an effort, with a degradation
    f"{name} {effort}, {how}"
    for name in ("adaformer", "adaformer-s", "smfanet-plus")
    for effort in ("exact", "balanced", "fast")
    for how in ("none", "jpeg:75")
]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("SRCLI_CACHE", str(tmp_path))


def groups() -> list[tuple[str, ...]]:
    inner = [name for name, one in main.commands.items() if isinstance(one, click.Group)]
    return [(), *((name,) for name in inner)]


@pytest.mark.parametrize("words", groups(), ids=lambda words: " ".join(words) or "srcli")
def test_lists_of_commands_are_not_cut(words: tuple[str, ...]) -> None:
    text = CliRunner().invoke(main, ["help", *words]).output
    assert "Commands:" in text
    assert "..." not in text.partition("Commands:")[2]


def test_help_of_a_command_in_a_group() -> None:
    told = CliRunner().invoke(main, ["help", "weights", "list"]).output
    assert told == CliRunner().invoke(main, ["weights", "list", "--help"]).output
    wrong = CliRunner().invoke(main, ["help", "upscale", "list"])
    assert wrong.exit_code == 2
    assert "has no command 'list'" in wrong.output


@pytest.mark.parametrize("words", [("weights", "list"), ("datasets", "list")])
def test_lists_fit(words: tuple[str, ...]) -> None:
    text = CliRunner().invoke(main, list(words)).output
    assert max(map(len, text.splitlines())) <= WIDTH
    for whole in ("adaformer-published_x4", "not stated", "available", "bundled"):
        assert words[0] == "datasets" or whole in text
    for whole in ("srcli datasets prepare Test2K --div8k FOLDER", "manga109.org,"):
        assert words[0] == "weights" or whole in text


def test_wide_tables_of_bench_are_printed_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    layers = tuple(f"layer {n}" for n in range(1, 9))
    cells = tuple((name, *(["100% / 100%"] * 8)) for name in NAMES)
    work = ("model", "executed", "dense", "of the machine's peak", "peak memory GB")
    tables = [
        Table("halted", ("model", *layers), cells),
        Table("work", work, tuple((name, "1.205", "1.205", "42%", "0.37") for name in NAMES)),
        Table("by image", ("image", "model", "LR px"), (("0801", NAMES[-1], "24x16"),), keys=2),
    ]
    print_tables(tables)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= WIDTH
    words = text.split()
    for header in (*layers, "executed", "machine's"):
        assert words.count(header.split()[-1]) >= 1
    assert words.count("100%") == 2 * 8 * len(NAMES)
    lines = text.splitlines()
    for name in NAMES:  # in each of the parts of `halted`, and in `work`
        assert sum(name in line for line in lines) >= 3


def test_fields_are_wrapped_at_spaces_alone(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/photos/" + "long" * 25 + ".jpg"
    echo_fields([("done", "1"), ("  failed", f"{path}: " + "cannot be decoded " * 9), ("", "")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "done      1"
    assert lines[1] == f"  failed  {path}:"
    assert all(len(line) <= WIDTH for line in lines if path not in line)
    assert " ".join(" ".join(lines[2:]).split()) == ("cannot be decoded " * 9).strip()
