"""`srcli reproduce`: the papers' figures beside ours, and what is missing."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from PIL import Image

from srcli.benchmark.paper_tables import PAPER_TABLES, paper_table
from srcli.cli.main import run
from srcli.cli.reproduce import reproduce
from srcli.errors import UsageError
from tests.benchmark.trained_ablations import save_ablation

Here: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def srcli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Here:
    """The command in this process, with a cache of its own: code, stdout, stderr."""
    monkeypatch.setenv("SRCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SRCLI_DATA", "")
    monkeypatch.setenv("COLUMNS", "300")

    def ended(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["srcli", "reproduce", *map(str, words)])
        with pytest.raises(SystemExit) as ending:
            run()
        said = capsys.readouterr()
        assert isinstance(ending.value.code, int)
        return ending.value.code, said.out, said.err

    return ended


def row_of(out: str, name: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.strip().startswith(name + " ")]
    return line.split()


@pytest.mark.slow
def test_paper_and_here_stand_side_by_side(srcli: Here, tiny: Path, tmp_path: Path):
    code, out, _ = srcli(
        "adaformer-tab2", "-d", "b100", "-m", "rlfn,AdaFormer", "--repeats", "1",
        "--data-root", tiny, "--out", tmp_path / "new" / "out",
    )  # fmt: skip
    assert code == 0
    assert "Tab. 2" in out
    assert "3 images measured, effort balanced" in out
    assert "missing: RLFN: rlfn_x4 is not here yet: srcli weights download rlfn_x4" in out
    assert "missing: AdaFormer: adaformer-published_x4 is not here yet" in out
    assert row_of(out, "RLFN") == ["RLFN", "rlfn", "27.60", "0.7364"]
    data = json.loads((tmp_path / "new" / "out" / "adaformer-tab2.json").read_text())
    by_name = {one["row"]["name"]: one for one in data["rows"]}
    assert by_name["AdaFormer"]["ours"] is None
    assert by_name["AdaFormer"]["paper"]["psnr"] == 27.70
    ours = by_name["adaformer"]["ours"]
    assert ours["pictures"] == 3
    assert ours["psnr"] > 20
    text = (tmp_path / "new" / "out" / "adaformer-tab2.md").read_text()
    assert "| RLFN | rlfn | 27.60 |" in text
    assert "- missing: RLFN: rlfn_x4 is not here yet" in text


def test_random_weights_are_timed_and_never_compared(srcli: Here, tiny: Path, tmp_path: Path):
    code, _, _ = srcli(
        "adaformer-tab2", "-d", "B100", "-m", "etds", "--random-weights", "--repeats", "1",
        "--limit", "1", "--data-root", tiny, "--out", tmp_path,
    )  # fmt: skip
    assert code == 0
    (row,) = json.loads((tmp_path / "adaformer-tab2.json").read_text())["rows"]
    assert row["ours"]["psnr"] is None
    assert row["ours"]["median"] > 0


@pytest.mark.slow
def test_exits_copy_the_learned_sparsity(srcli: Here, tiny: Path, tmp_path: Path):
    code, out, _ = srcli(
        "adaformer-tab4", "-d", "B100", "--effort", "fast", "--repeats", "1", "--limit", "1",
        "--data-root", tiny, "--out", tmp_path,
    )  # fmt: skip
    assert code == 0
    assert "missing: A-ViT: needs a network trained so" in out
    rows = json.loads((tmp_path / "adaformer-tab4.json").read_text())["rows"]
    ours = {one["row"]["name"]: one["ours"] for one in rows}
    learned = ours["shared estimator"]
    assert learned["halted_tokens"][-1] > 0
    for name in ("uniform exit", "random exit"):
        assert ours[name]["halted_tokens"] == pytest.approx(learned["halted_tokens"])
        assert ours[name]["halted_windows"] == pytest.approx(learned["halted_windows"])


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder of two of the ablations' weights, as training leaves them."""
    folder = tmp_path / "trained"
    for name in ("both-masks", "ponder"):
        save_ablation(name, folder)
    return folder


def test_trained_ablations_have_a_network_for_each_row(
    srcli: Here, tiny: Path, trained: Path, tmp_path: Path
):
    code, out, _ = srcli(
        "adaformer-tab4", "-d", "B100", "--effort", "fast", "--repeats", "1", "--limit", "1",
        "--data-root", tiny, "--weights-folder", trained, "--out", tmp_path,
    )  # fmt: skip
    assert code == 0
    assert "a network trained for each row: B100, 1 images measured" in out
    assert "PSNR dB paper, Test4K" in out
    (line,) = [line for line in out.splitlines() if line.startswith("missing: APE: ")]
    assert "srcli train srcli/training/configs/ablation/increment.toml --init" in line
    assert line.endswith(f"-o {trained / 'increment'}")
    rows = json.loads((tmp_path / "adaformer-tab4.json").read_text())["rows"]
    ours = {one["row"]["name"]: one["ours"] for one in rows}
    base = ours["shared estimator"]
    assert base["halted_tokens"][-1] > 0
    for name in ("uniform exit", "random exit", "A-ViT at equal sparsity"):
        assert ours[name]["halted_tokens"] == pytest.approx(base["halted_tokens"])
        assert ours[name]["halted_windows"] == pytest.approx(base["halted_windows"])
    assert ours["A-ViT"]["psnr"] > 20
    assert ours["APE"] is ours["APE at equal sparsity"] is None
    text = (tmp_path / "adaformer-tab4.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| shared estimator |")]
    assert row.startswith("| shared estimator | both-masks | 29.10 |")
    assert "| +0.00 | +0.000 |" in row


def test_equal_sparsity_needs_the_network_it_copies(srcli: Here, tiny: Path, tmp_path: Path):
    save_ablation("ponder", tmp_path / "trained")
    code, out, _ = srcli(
        "adaformer-tab4", "-d", "B100", "-m", "ponder", "--repeats", "1", "--limit", "1",
        "--data-root", tiny, "--weights-folder", tmp_path / "trained",
    )  # fmt: skip
    assert code == 0
    assert "missing: A-ViT at equal sparsity: it copies the sparsity of shared estimator" in out
    assert "missing: shared estimator: needs a network trained so: srcli train" in out


def test_altered_ablations_are_missing_and_say_why(srcli: Here, tiny: Path, trained: Path):
    (trained / "ponder" / "ablation-ponder.safetensors").write_bytes(b"")
    code, out, _ = srcli(
        "adaformer-tab4", "-d", "B100", "-m", "A-ViT", "--data-root", tiny,
        "--weights-folder", trained,
    )  # fmt: skip
    assert code == 1
    assert "ablation-ponder.safetensors: size is 0, the manifest says" in out


def test_figure_6_draws_each_image(srcli: Here, tiny: Path, tmp_path: Path):
    (tiny / "B100").rename(tiny / "Set14")
    code, out, _ = srcli(
        "adaformer-fig6", "-d", "Set14", "-m", "adaformer", "--effort", "fast", "--repeats", "1",
        "--limit", "2", "--data-root", tiny, "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0
    assert "layer 6 windows / tokens" in out
    figures = sorted((tmp_path / "out" / "adaformer-fig6").iterdir())
    assert [path.name for path in figures] == ["Set14_0_adaformer.png", "Set14_1_adaformer.png"]
    data = json.loads((tmp_path / "out" / "adaformer-fig6.json").read_text())
    assert data["rows"][-1]["ours"]["pictures"] == 2
    for path in figures:
        with Image.open(path) as figure:
            assert min(figure.size) > 1000


def test_a_set_that_is_not_here_is_named_with_its_remedy(srcli: Here, tmp_path: Path):
    code, out, _ = srcli("adaformer-fig4", "-m", "adaformer", "--data-root", tmp_path)
    assert code == 1
    missing = [line for line in out.splitlines() if line.startswith("missing: ")]
    for name, line in zip(("Set14", "Test4K"), missing[-2:], strict=True):
        assert name in line
        assert "srcli datasets" in line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("adaformer-tab2", "-m", "edsr"), "adaformer-tab2 has no row edsr (have IMDN"),
        (("adaformer-tab2", "-d", "Manga109"), "adaformer-tab2 has no set Manga109 (have Set5"),
        (("adaformer-tab4", "-d", "Set5", "--effort", "exact"), "--effort exact halts nothing"),
        (("adaformer-tab5",), "adaformer-tab5"),
        (("adaformer-tab1", "--weights-folder", "."), "adaformer-tab1 compares no trained abl"),
        (("adaformer-tab3", "--weights-folder", "no-such"), "no-such is not a folder; hint"),
    ],
)
def test_what_cannot_be_is_refused(srcli: Here, words: tuple[str, ...], told: str):
    code, _, error = srcli(*words)
    assert code == 2
    assert told in error


def test_the_command_takes_every_table():
    (argument,) = [one for one in reproduce.params if one.name == "table"]
    assert list(argument.type.choices) == list(PAPER_TABLES)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="no table named 'tab9'"):
        paper_table("tab9")


def test_figures_are_of_the_tables_sets_and_rows_have_names_of_their_own():
    tables = list(PAPER_TABLES.values())
    tables += [table.of_ablations() for table in tables if table.ablations]
    for table in tables:
        names = [row.name for row in table.rows]
        assert len(names) == len(set(names))
        assert table.base in names
        for row in table.rows:
            assert set(row.figures) <= set(table.sets)
