"""`srcli bench` as people run it, on tiny images and on the field's own."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.benchmark import choose_methods
from srcli.benchmark.choose_methods import Setup, methods_named
from srcli.benchmark.machine import PeakMemory
from srcli.benchmark.measure import Row
from srcli.benchmark.results import Run, summaries
from srcli.benchmark.tables import compare_table
from srcli.errors import UsageError
from srcli.inference import network as network_module
from srcli.inference.device import computes_int8, format_between, pick_precision, precision_name
from srcli.inference.upscaler import Upscaler
from srcli.metrics.flops import count_flops
from srcli.models import model_spec
from srcli.models.layers.pure_pixels import colour_centres, nearest_centre, pure_pixels
from srcli.weights import best_scale
from tests.benchmark.conftest import bench, machine

CPU = torch.device("cpu")


def quiet(line: str) -> None:
    raise AssertionError(line)


@pytest.mark.slow
def test_one_run_gives_tables_and_files(tiny: Path, tmp_path: Path):
    ended = bench(
        "-d", "b100", "-m", "bicubic,lanczos,adaformer", "--repeats", "2", "--plain", "--pictures",
        "--end-to-end", "--json", tmp_path / "run.json", "--csv", tmp_path / "run.csv",
        "--markdown", tmp_path / "run.md", "--plot", tmp_path / "run.png",
        "--precision", "fp32", data=tiny,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    ways = [
        *("bicubic", "lanczos", "adaformer exact", "adaformer balanced", "adaformer reference"),
        *("adaformer convolutions", "adaformer exact, files", "adaformer balanced, files"),
    ]
    run = json.loads((tmp_path / "run.json").read_text())
    assert [one["contender"] for one in run["summaries"]] == ways
    assert all(way in ended.stdout for way in ways)
    assert "25.96 (the literature)" in ended.stdout
    found = {one["contender"]: one for one in run["summaries"]}
    exact, plain = found["adaformer exact"], found["adaformer reference"]
    assert exact["psnr"] == pytest.approx(plain["psnr"], abs=1e-3)
    assert exact["psnr"] == pytest.approx(found["adaformer exact, files"]["psnr"], abs=1e-6)
    assert exact["gflops"] == exact["dense_gflops"]
    files = [found[f"adaformer {effort}, files"] for effort in ("exact", "balanced")]
    assert files[0]["dense_gflops"] == files[1]["dense_gflops"] == files[0]["gflops"]
    assert found["adaformer convolutions"]["gflops"] < exact["gflops"]
    assert found["bicubic"]["ratio"] == 1.0
    assert len(found["adaformer balanced"]["halted_windows"]) == 6
    assert exact["peak_bytes"] is None or exact["peak_bytes"] > 1e8
    assert run["machine"]["torch"] == torch.__version__
    assert run["settings"]["protocol"] == "basicsr-y"
    assert len(run["weights"]["adaformer exact"]) == 64
    rows = list(csv.DictReader((tmp_path / "run.csv").read_text().splitlines()))
    assert len(rows) == 3 * len(ways)
    assert all(len(row["seconds"].split()) == 2 for row in rows)
    assert "| adaformer exact |" in (tmp_path / "run.md").read_text()
    with Image.open(tmp_path / "run.png") as plot:
        assert plot.size[0] == 900
    again = bench("--compare", tmp_path / "run.json", tmp_path / "run.json")
    assert "nothing" in again.stdout


def test_degraded_lr_is_measured_beside_the_clean_one(tiny: Path):
    ended = bench(
        "-d", "b100", "-m", "bicubic", "--degrade", "none,jpeg:30,noise:9+jpeg:30", "--json", "-",
        "--repeats", "1", data=tiny,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    run = json.loads(ended.stdout)
    psnr = {one["contender"]: one["psnr"] for one in run["summaries"]}
    assert list(psnr) == ["bicubic, none", "bicubic, jpeg:30", "bicubic, noise:9+jpeg:30"]
    assert list(psnr.values()) == sorted(psnr.values(), reverse=True)
    assert run["settings"]["degrade"] == "none,jpeg:30,noise:9+jpeg:30"
    refused = bench("-d", "b100", "-m", "bicubic", "--degrade", "fog:3", data=tiny)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no degradation named 'fog:3'" in refused.stderr


@pytest.mark.slow
def test_json_to_stdout_is_json_alone(tmp_path: Path):
    ended = bench("--latency", "24x16,16x16", "-m", "atd-light,adaformer-s", "--random-weights",
                  "--repeats", "1", "--json", "-")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    run = json.loads(ended.stdout)
    assert {row["psnr"] for row in run["rows"]} == {None}
    assert set(run["weights"].values()) == {"random"}
    assert [row["width"] for row in run["rows"]] == [24] * 3 + [16] * 3


@pytest.mark.slow
def test_pure_pixels_are_told(tmp_path: Path, photo: np.ndarray):
    """The share is that of a scan of the image itself, in every output."""
    Image.fromarray(photo).save(tmp_path / "photo.png")
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "csv", "md")}
    ended = bench(
        *("--latency", tmp_path / "photo.png", "-m", "pp-atd-light,adaformer-s"),
        *("--random-weights", "--repeats", "1", "--json", files["json"], "--csv", files["csv"]),
        *("--markdown", files["md"]),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lr = torch.as_tensor(photo).permute(2, 0, 1)[None].float() / 255
    wide = torch.nn.functional.pad(lr, (0, 8, 0, 8))  # 56x40 to whole windows of 16 px
    wide[..., 40:, :56], wide[..., 56:] = lr[..., 32:, :].flip(-2), wide[..., 48:56].flip(-1)
    classes = nearest_centre(wide, colour_centres(16))
    share = pure_pixels(classes, 4, [(0, 0), (2, 2)])[..., :40, :56].float().mean().item()
    assert 0.2 < share < 0.9
    run = json.loads(files["json"].read_text())
    found = {one["contender"]: one for one in run["summaries"]}
    assert found["pp-atd-light balanced"]["pure"] == pytest.approx(share)
    assert found["pp-atd-light exact"]["pure"] is found["adaformer-s balanced"]["pure"] is None
    rows = {row["contender"]: row for row in csv.DictReader(files["csv"].read_text().splitlines())}
    assert float(rows["pp-atd-light balanced"]["pure"]) == pytest.approx(share)
    assert rows["pp-atd-light exact"]["pure"] == ""
    lines = files["md"].read_text().splitlines()
    (table,) = [n for n, line in enumerate(lines) if "; pure pixels: exempt" in line]
    assert {line.count("|") for line in lines[table + 2 : table + 7]} == {6}
    assert f" {share:.1%}" in lines[table + 4]
    assert "pure pixels" in ended.stdout


@pytest.mark.slow
def test_what_equals_the_original_stays_out_of_the_mean(tmp_path: Path, rng: np.random.Generator):
    folder = tmp_path / "hr"
    folder.mkdir()
    Image.new("RGB", (40, 40), (120, 60, 30)).save(folder / "flat.png")
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "csv", "md", "png")}
    words = (
        *("--hr", folder, "-m", "bicubic", "--repeats", "1", "--pictures"),
        *("--json", files["json"], "--csv", files["csv"], "--markdown", files["md"]),
        *("--plot", files["png"]),
    )

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    def measured() -> dict[str, Any]:
        ended = bench(*words)
        assert ended.returncode == 0, ended.stderr
        return json.loads(files["json"].read_text(), parse_constant=refuse)

    run = measured()
    assert (run["rows"][0]["psnr"], run["rows"][0]["identical"]) == (None, True)
    assert "| bicubic | ∞ | 1.0000 | 1 |" in files["md"].read_text()
    assert "| flat | bicubic | 10x10 | ∞ | 1.0000 |" in files["md"].read_text()
    (row,) = csv.DictReader(files["csv"].read_text().splitlines())
    assert (row["psnr"], row["identical"]) == ("inf", "True")
    with Image.open(files["png"]) as plot:
        plot.verify()
    old = files["json"].rename(tmp_path / "old.json")
    busy = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(busy).save(folder / "busy.png")
    run = measured()
    (one,) = run["summaries"]
    assert (one["psnr"], one["identical"]) == (run["rows"][0]["psnr"], 1)
    assert 5 < one["psnr"] < 20
    (folder / "flat.png").unlink()
    measured()
    again = bench("--compare", old, files["json"])
    assert again.returncode == 0, again.stderr
    assert "identical images" in again.stdout


def test_tf32_is_asked_of_networks_and_of_what_runs_from_file_to_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    setup = Setup(4, CPU, "tf32", ["exact"], random=True)
    files = replace(setup, random=False, end_to_end=tmp_path)
    for one in (setup, files):
        with pytest.raises(UsageError, match="tf32"):  # it was asked for, and a CPU has none
            methods_named(["adaformer-s"], one, quiet)
    for module in (choose_methods, network_module):
        monkeypatch.setattr(module, "pick_precision", lambda *_, **__: torch.float32)
    for one, count in ((setup, 1), (files, 2)):
        made = methods_named(["adaformer-s"], one, quiet)
        assert [method.precision for method in made] == ["tf32"] * count


@pytest.mark.skipif(not computes_int8(CPU), reason="this CPU has no VNNI instructions")
def test_int8_is_measured_where_weights_have_ranges_and_refused_elsewhere(tmp_path: Path):
    setup = Setup(4, CPU, "int8", ["exact"], end_to_end=tmp_path, degrade=["none"])
    made = methods_named(["bicubic", "adaformer"], setup, quiet)
    assert [method.precision for method in made] == ["", "int8", "int8"]
    with pytest.raises(UsageError, match=r"adaformer-s cannot.*int8: its weights have no ranges"):
        methods_named(["adaformer-s"], setup, quiet)
    with pytest.raises(UsageError, match="random weights have no ranges"):
        methods_named(["adaformer"], Setup(4, CPU, "int8", None, random=True), quiet)
    usual = methods_named(["adaformer-s"], Setup(4, CPU, "auto", ["exact"]), quiet)
    assert [method.precision for method in usual] == [
        precision_name(format_between(pick_precision("auto", CPU)))
    ]


def test_plain_ways_that_are_not_there_are_told():
    told: list[str] = []
    x3 = Setup(3, CPU, "fp32", None, plain=True)
    names = [one.name for one in methods_named(["adaformer"], x3, told.append)]
    assert names == ["adaformer x4 reduced exact", "adaformer x4 reduced balanced"]
    x4 = Setup(4, CPU, "fp32", None, random=True, plain=True)
    names = [one.name for one in methods_named(["atd-light", "adaformer"], x4, told.append)]
    assert names[0] == "atd-light"
    assert names[-1] == "adaformer convolutions"
    assert told == [
        "--plain adds nothing for adaformer, which has no weights for x3 (-s 4 has)",
        "--plain adds nothing for atd-light, which has no plain ways",
    ]


@pytest.mark.slow
def test_bicubic_has_the_literatures_figures(shared: Path, tmp_path: Path):
    sets = {"Set5": 28.42, "B100": 25.96}
    for name, psnr in sets.items():
        file = tmp_path / f"{name}.json"
        ended = bench("-d", name, "-m", "bicubic", "--repeats", "1", "--json", file,
                      data=shared / "data" / "benchmark")  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        measured = json.loads(file.read_text())["summaries"][0]
        assert measured["psnr"] == pytest.approx(psnr, abs=0.02)


def test_contenders_see_each_effort_once():
    setup = Setup(4, CPU, "fp32", ["exact", "balanced"], random=True)
    names = [
        one.name for one in methods_named(["bicubic", "atd-light", "pp-atd-light"], setup, quiet)
    ]
    assert names == ["bicubic", "atd-light", "pp-atd-light exact", "pp-atd-light balanced"]
    with pytest.raises(UsageError, match="atd-light has no effort fast"):
        methods_named(["atd-light"], Setup(4, CPU, "fp32", ["fast"], random=True), quiet)


def test_random_weights_are_the_same_every_time():
    setup = Setup(2, CPU, "fp32", ["exact"], random=True)
    lr = np.full((8, 8, 3), 90, np.uint8)
    made = [methods_named(["adaformer-s"], setup, quiet)[0] for _ in range(2)]
    images = [one.finish(one.forward(one.prepare(lr))).image for one in made]
    assert np.array_equal(*images)


def run_of(seconds: tuple[float, ...], psnr: float) -> Run:
    row = Row("net", "a", 10, 10, psnr, 0.9, seconds, 1.0, 1.0, None)
    return Run("Mini", {"scale": 4, "protocol": "rgb"}, machine(), {}, (row,), {})


def test_compare_lists_only_what_moved_beyond_the_spread():
    before, after = run_of((1.0, 1.0, 1.2), 30.0), run_of((1.1, 1.1, 1.15), 30.0)
    assert compare_table(before, after).cells == ()
    slower = compare_table(before, run_of((2.0, 2.0, 2.2), 29.5)).cells
    assert [cell[1:] for cell in slower] == [
        ("median s", "1", "2", "+100%"), ("PSNR dB", "30.000", "29.500", "-0.500"),
    ]  # fmt: skip


def test_summaries_over_images():
    rows = tuple(
        Row("net", name, 10, 20, psnr, None, seconds, 2.0, 4.0, 10**9, (0.0, share), (0.0, 0.5))
        for name, psnr, seconds, share in (
            ("a", 30.0, (1.0, 2.0, 3.0), 0.2), ("b", 32.0, (4.0, 4.0, 4.0), 0.4),
        )
    )  # fmt: skip
    run = Run("Mini", {"scale": 2, "protocol": "rgb"}, machine(), {}, rows, {})
    (one,) = summaries(run)
    assert (one.psnr, one.ssim, one.median, one.ratio) == (31.0, None, 3.0, 1.0)
    assert one.p95 == pytest.approx(3.9)
    assert one.spread == pytest.approx(0.5)
    assert one.per_second == pytest.approx(2 / 6)
    assert one.megapixels == pytest.approx(2 * 10 * 20 * 4 / 1e6 / 6)
    assert one.halted_windows == pytest.approx((0.0, 0.3))


@pytest.mark.slow
def test_from_file_to_file_dense_is_the_exact_run(tmp_path: Path):
    setup = Setup(4, CPU, "fp32", ["fast"], end_to_end=tmp_path)
    inner, outer = methods_named(["adaformer"], setup, quiet)
    lr = np.random.default_rng(5).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    dense = [count_flops(lambda one=one: one.dense(one.prepare(lr)))[0] for one in (inner, outer)]
    executed, _ = count_flops(lambda: outer.forward(outer.prepare(lr)))
    assert dense[1] == pytest.approx(dense[0], rel=0.01)
    assert executed != dense[1]


def test_peak_memory_sees_an_allocation():
    peak = PeakMemory(CPU)
    before = peak.read()
    if before is None:
        pytest.skip("this system does not tell a process's peak memory")
    block = np.ones(60_000_000 // 8)
    after = peak.read()
    assert after is not None
    assert after - before > 0.8 * block.nbytes


def test_the_floor_is_the_convolutions_alone():
    network = model_spec("adaformer").build(4)
    assert set(network.baselines()) == {"reference", "convolutions"}
    with torch.no_grad():
        image = network.baselines()["convolutions"](torch.rand(1, 3, 16, 8)).image
    assert image.shape == (1, 3, 64, 32)


def test_a_scale_without_weights_is_reduced_as_upscale_does(monkeypatch: pytest.MonkeyPatch):
    """The contender's image is the upscaler's, by the same detour."""
    larger = best_scale("adaformer", 4)
    for user in ("srcli.benchmark.choose_methods", "srcli.inference.upscaler"):
        monkeypatch.setattr(f"{user}.best_scale", lambda *_: larger)
    lr = np.random.default_rng(3).integers(0, 256, (20, 28, 3), dtype=np.uint8)
    (one,) = methods_named(["adaformer"], Setup(3, CPU, "fp32", ["exact"]), quiet)
    assert one.name == "adaformer x4 reduced exact"
    made = one.finish(one.forward(one.prepare(lr))).image
    assert made.shape == (60, 84, 3)
    upscaled = Upscaler(scale=3, device="cpu", precision="fp32", effort="exact")(lr)
    assert np.abs(made.astype(int) - upscaled).max() <= 1
