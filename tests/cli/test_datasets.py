"""From nothing to a table: data sets and weights by name, and what is said on the way."""

import json
import re
import shlex
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.data.resize import downscale, resize
from srcli.data.sets import benchmark_sets
from tests.cli.processes import COMMAND
from tests.cli.weights_world import World, at_a_terminal, wait_until
from tests.conftest import ROOT
from tests.data.published_sets import png, serve_div2k, serve_images
from tests.forked_python import ForkedPython
from tests.weights.published_server import PublishedServer

PAGE = (ROOT / "docs" / "measuring.md").read_text("utf-8")


@pytest.fixture
def sets(world: World) -> Path:
    """The folder of data sets, as the environment has it."""
    world.environment["SRCLI_DATA"] = str(world.folder / "sets")
    return world.folder / "sets"


def lines_of(error: str) -> list[str]:
    return error.splitlines()


@pytest.mark.slow
def test_the_commands_about_sets_work_as_printed(
    world: World, far: PublishedServer, sets: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, scale in (("Set5", 4), ("Set14", 4), ("Set5", 2), ("Set5", 3)):
        serve_images(far, name, scale)
    monkeypatch.setitem(benchmark_sets(), "DIV2K", serve_div2k(far))
    (world.folder / "pairs").mkdir()
    for part, name in (("HR", "a.png"), ("LR", "a.png")):
        (world.folder / "pairs" / part).mkdir()
        side = 32 if part == "HR" else 16
        (world.folder / "pairs" / part / name).write_bytes(png(1, side, side))
    for path in photos.iterdir():
        path.write_bytes(png(2, 48, 64))
    (block,) = re.findall(r"## Getting the sets.*?```sh\n(.*?)```", PAGE, re.DOTALL)
    commands = [line.split("#")[0].strip() for line in block.splitlines()]
    assert len(commands) == 8
    for line in commands:
        program, *arguments = shlex.split(line)
        assert program == "srcli"
        quick = ["--repeats", "1", "--limit", "1"] if arguments[0] == "bench" else []
        code, _, error = world.run(*arguments, *quick)
        assert code == 0, (line, error)
    listed = world.run("datasets", "list")[1].splitlines()
    assert [line.split()[0] for line in listed if " x2 x3 x4 " in line] == [
        "Set5", "screens", "DIV2K",
    ]  # fmt: skip


@pytest.mark.slow
def test_bench_needs_nothing_but_downloads(world: World, far: PublishedServer, sets: Path) -> None:
    serve_images(far, "Set5")
    command = (
        "bench", "-m", "adaformer,smfanet-plus,atd-light", "-d", "Set5",
        "--effort", "exact", "--repeats", "1", "--limit", "1", "--json", "-",
    )  # fmt: skip
    code, _, error = world.run(*command)
    assert code == 2
    assert lines_of(error) == [
        f"srcli: Set5 x4 is not on this machine (looked for {sets / 'Set5'}, "
        f"{lines_of(error)[0].split(', ')[1].split(')')[0]}); hint: srcli datasets download Set5"
    ]
    code, out, error = world.run("datasets", "download", "Set5")
    assert (code, out) == (0, f"{sets / 'Set5' / 'x4'}\n"), error
    said = "Set5 x4, 5 images, size not stated, terms not stated, from raw.githubusercontent.com"
    assert lines_of(error) == [f"downloading {said}"]
    fetched = len(far.requests)
    code, _, error = world.run(*command)
    assert (code, error.count("\n")) == (3, 1)
    assert "smfanet-plus_x4" in error
    assert "hint: --yes, or SRCLI_ACCEPT_LICENCES=1, downloads without asking" in error
    code, _, error = world.run(*command, "--yes")
    assert code == 3
    assert "atd-light_x4: nobody publishes a hash of it" in error
    assert len(far.requests) == fetched  # nothing, not even what can be verified
    code, out, error = world.run(*command, "--trust-first", SRCLI_ACCEPT_LICENCES="all")
    assert code == 0, error
    run = json.loads(out)
    ways = ["adaformer exact", "smfanet-plus", "atd-light"]
    assert [one["contender"] for one in run["summaries"]] == ways
    assert len(run["rows"]) == 3
    assert len(far.requests) == fetched + 2


def test_bench_asks_on_a_terminal(world: World, far: PublishedServer) -> None:
    code, shown = at_a_terminal(world, "", "bench", "--latency", "8x8", "-m", "atd-light")
    assert "[y/N]" in shown
    assert (code, far.requests) == (3, [])


@pytest.mark.slow
def test_visualize_mask_fetches_its_network(
    world: World, far: PublishedServer, photos: Path
) -> None:
    command = ("visualize-mask", photos / "a.png", "-m", "adaformer-published")
    code, _, error = world.run(*command)
    assert (code, error.count("\n"), far.requests) == (3, 1, []), error
    assert "adaformer-published_x4, size not stated, licence not stated" in error
    code, _, error = world.run(*command, "--yes")
    assert code == 0, error
    assert (photos / "a_masks").is_dir()


@pytest.mark.parametrize(
    ("name", "images"),
    [("Test2K", "1201 to 1300, reduced by 4"), ("Test4K", "1301 to 1400, reduced by 2"),
     ("Test8K", "1401 to 1500, as they are")],
)  # fmt: skip
def test_large_sets_say_what_they_are_and_what_to_type(
    world: World, sets: Path, name: str, images: str
) -> None:
    code, _, error = world.run("bench", "--dataset", name)
    assert code == 2
    what, then = lines_of(error)
    assert f"it is DIV8K's images {images}, and DIV8K can be requested from its authors" in what
    assert f"once that folder is there: srcli datasets prepare {name} --div8k FOLDER" in then


def test_any_folder_is_measured(world: World, rng: np.random.Generator) -> None:
    hr = resize(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8), 64, 48)
    for part, image in ((".", hr), ("HR", hr), ("LR", downscale(hr, 2))):
        folder = world.folder / ("own" if part == "." else "pairs") / part
        folder.mkdir(parents=True)
        Image.fromarray(image).save(folder / "a.png")
    words = ("-m", "bicubic", "-s", "2", "--repeats", "1", "--json", "-")
    stats = []
    for folder in ("own", "pairs"):
        code, out, error = world.run("bench", folder, *words)
        assert code == 0, error
        run = json.loads(out)
        assert run["dataset"] == folder
        stats.append(run["summaries"][0]["psnr"])
    assert stats[0] == stats[1] > 20
    for folder, line in (
        ("nowhere", "nowhere does not exist"),
        ("set5", "set5 does not exist; hint: a set by name: --dataset Set5"),
        ("cache", "no images in cache, and no HR and LR for x2 below it; hint: "),
        ("own/a.png", "own/a.png is not a folder"),
    ):
        world.cache.mkdir(exist_ok=True)
        code, _, error = world.run("bench", folder, *words)
        assert (code, error.count("\n")) == (2, 1)
        assert line in error
    code, _, error = world.run("bench", "own", "-d", "Set5")
    assert "give inputs to measure on: one of FOLDER, --dataset NAME" in error


def test_verify_names_what_is_altered(world: World, far: PublishedServer, sets: Path) -> None:
    serve_images(far, "Set5")
    code, _, error = world.run("datasets", "verify", "Set5")
    assert code == 1
    assert "Set5: there is no list of hashes; hint: srcli datasets download Set5" in error
    assert world.run("datasets", "verify")[0] == 0
    world.run("datasets", "download", "set5")
    folder = sets / "Set5" / "x4"
    assert world.run("datasets", "verify")[:2] == (0, f"{folder}: intact, 10 files\n")
    (folder / "LR" / "img_002.png").write_bytes(b"altered")
    code, out, _ = world.run("datasets", "verify", "Set5")
    assert (code, out) == (1, f"{folder}: 1 altered or missing: {folder / 'LR' / 'img_002.png'}\n")


def test_several_sets_fail_apart(world: World, far: PublishedServer, sets: Path) -> None:
    serve_images(far, "Set5")
    code, out, error = world.run("datasets", "download", "Set14", "Set5")
    assert (code, out) == (1, f"{sets / 'Set5' / 'x4'}\n")
    assert "Set14 x4 could not be downloaded: " in error
    assert world.run("datasets", "download", "Set14")[0] == 3
    assert world.run("datasets", "download", "Set14", "--offline")[0] == 3
    assert world.run("datasets", "download", "Test4K")[0] == 2


def test_a_terminal_sees_speed_and_remaining_time(
    world: World, far: PublishedServer, sets: Path
) -> None:
    serve_images(far, "Set5")
    code, shown = at_a_terminal(world, "", "datasets", "download", "Set5")
    assert code == 0, shown
    assert re.search(r"Set5 x4: .*5/5 \[\d+:\d+<\d+:\d+, .*images/s.*MB, [\d.]+ MB/s", shown)


def test_ctrl_c_ends_with_one_line_and_nothing_half_written(
    world: World, far: PublishedServer, sets: Path
) -> None:
    serve_images(far, "Set5")
    far.fault = "stalled"
    process = ForkedPython(
        [*COMMAND, "datasets", "download", "Set5"], cwd=world.folder, stderr=subprocess.PIPE,
        env=world.environment, text=True,
    )  # fmt: skip
    wait_until(lambda: bool(list(sets.rglob(".*.part"))))
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=600)
    assert process.returncode == 130, error
    assert error.split("\n\n")[1:] == [
        "srcli: interrupted; run the same command again to continue\n"
    ]
    assert [path for path in sets.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


@pytest.mark.parametrize("width", [80, 120])
def test_lists_are_readable_at_a_width(world: World, width: int) -> None:
    for group in ("weights", "datasets"):
        code, out, error = world.run(group, "list", COLUMNS=str(width))
        assert code == 0, error
        assert max(map(len, out.splitlines())) <= width
    out = " ".join(world.run("datasets", "list", COLUMNS=str(width))[1].split())
    assert "srcli datasets prepare Test2K --div8k FOLDER" in out
    assert "request its images at manga109.org, for research" in out
    out = world.run("weights", "list", COLUMNS="80")[1]
    assert " bundled " in out
    names = [line.split()[0] for line in out.splitlines()]
    assert {"adaformer-published_x4", "smfanet-plus_x4", "far_x4"} < set(names)
    assert len(names) == len(set(names))
