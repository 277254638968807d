"""Pairs of keys and values on a terminal: wrapped between words, names whole."""

import pytest

from srcli.cli.console import print_pairs


@pytest.fixture
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.usefixtures("eighty")
def test_a_long_value_is_wrapped_between_words(capsys: pytest.CaptureFixture[str]) -> None:
    words = "made with other settings, and the input has changed since; " * 4
    print_pairs([("done", "3"), ("  skipped", words)])
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "done       3"
    assert max(map(len, lines)) <= 80
    assert all(line.startswith(" " * 11) for line in lines[1:])
    assert " ".join(" ".join(lines).split()) == f"skipped {words}".strip()


@pytest.mark.usefixtures("eighty")
def test_a_path_longer_than_a_line_stays_whole(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/".join(["a-folder-with-a-long-name"] * 6)
    print_pairs([("results", path)])
    assert path in capsys.readouterr().out
