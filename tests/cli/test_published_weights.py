"""The first minute with published weights: what is asked, fetched, said and remembered."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image

from srcli.weights import by_quality, manifest
from srcli.weights.manifest_file import COMMUNITY
from tests.cli.weights_world import SHIPPED, World, at_a_terminal
from tests.conftest import ROOT
from tests.weights.published_server import (
    PUBLISHED,
    PublishedServer,
    fabricated,
    published,
)
from tests.weights.states import state

WHOLE = (ROOT / "docs" / "weights.md").read_text("utf-8")
COMMUNITY_PART = re.search(r"## Networks of the community.*?(?=\n## )", WHOLE, re.DOTALL)
assert COMMUNITY_PART is not None  # whose commands need spandrel: tests/community
PAGE = WHOLE.replace(COMMUNITY_PART[0], "")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


NONE = "\N{EN DASH}"


def asked(far: PublishedServer) -> list[str]:
    return [place.rpartition("/")[2] for place, _ in far.requests]


@pytest.mark.slow
def test_every_command_of_the_page_works_as_printed(
    world: World, far: PublishedServer, photos: Path
) -> None:
    torch.save({"params": state("adaformer-s", 4)}, world.folder / "my.pth")
    assert len(COMMANDS) == 13
    for line in COMMANDS:
        program, *arguments = shlex.split(line)
        assert program == "srcli"
        code, _, error = world.run(*arguments)
        assert code == 0, (line, error)
    assert len(far.requests) == 5  # four recommended ones and ATD-light, each once
    assert not (world.cache / "records" / "atd-light_x4.json").exists()


def test_the_page_has_the_figures_of_the_manifest() -> None:
    rows = [line.split(" | ") for line in PAGE.splitlines() if re.match(r"\| `.*\| .\d \|", line)]
    entries = by_quality(e for e in manifest() if e.converted and e.model != COMMUNITY)
    assert len(rows) == len(entries)
    for (names, scale, measured, told, data, licence, _), entry in zip(rows, entries, strict=True):
        assert f"`{entry.model}`" in names
        assert scale[1:] == str(entry.scale)
        assert measured == (f"{entry.psnr_y['Set5']:.3f}" if entry.psnr_y else NONE)
        stats = [f"{figure:.2f}" for figure in entry.psnr_published.values()]
        assert told == (" / ".join(stats) or "unknown")
        assert (data, licence) == (entry.training_data, entry.licence)


def test_without_a_terminal_both_remedies_are_told(
    world: World, far: PublishedServer, photos: Path
) -> None:
    code, _, error = world.run("upscale", photos, "-m", "smfanet")
    assert code == 3
    size = f"{len(fabricated('smfanet_x4')) / 1e6:.1f} MB"
    for part in ("smfanet_x4", size, "licence Apache-2.0", "from github.com", "hint: --yes, or "
                 "SRCLI_ACCEPT_LICENCES=1", "srcli weights download smfanet_x4"):  # fmt: skip
        assert part in error
    assert error.count("\n") == 1
    code, _, error = world.run("upscale", photos, "-m", "smfanet", SRCLI_ACCEPT_LICENCES="MIT")
    assert code == 3
    assert "SRCLI_ACCEPT_LICENCES=MIT does not name that licence" in error
    assert not far.requests
    assert not world.cache.exists()
    assert not (world.folder / "photos_x4").exists()


@pytest.mark.slow
@pytest.mark.parametrize("accepted", ["1", "all", "MIT, apache-2.0"])
def test_a_script_names_the_licences_it_accepts(
    world: World, far: PublishedServer, photos: Path, accepted: str
) -> None:
    code, out, error = world.run("upscale", photos, "-m", "smfanet", SRCLI_ACCEPT_LICENCES=accepted)
    assert code == 0, error
    assert "downloading smfanet_x4" in error
    assert re.findall(r"done\s+(\d)", out) == ["2"]
    assert asked(far) == ["SMFANet_DF2K_100w_x4SR.pth"]
    code, out, error = world.run("upscale", photos, "-m", "smfanet", "--offline")
    assert (code, "downloading" in error) == (0, False)
    assert "skipped" in out


def test_the_authors_adaformer_runs_from_nothing(
    world: World, far: PublishedServer, photos: Path
) -> None:
    code, _, error = world.run("upscale", photos / "a.png", "-m", "adaformer-published", "-y")
    assert code == 0, error
    assert "adaformer-published_x4, size not stated, licence not stated, from github.com" in error
    assert (photos / "a_x4.png").exists()


@pytest.mark.slow
def test_what_nobody_can_verify_needs_trust_once(
    world: World, far: PublishedServer, photos: Path
) -> None:
    command = ("upscale", photos, "-m", "pp-atd-light", "-s", 2)
    code, _, error = world.run(*command, "--yes")
    assert code == 3
    assert "nobody publishes a hash of it" in error
    assert "hint: --trust-first" in error
    assert not far.requests
    code, _, error = world.run(*command, "--yes", SRCLI_TRUST_FIRST="1")
    assert code == 0, error
    code, out, _ = world.run(*command)  # the journal knows what they were made with
    assert (code, out.split()[:4]) == (0, ["done", "0", "skipped", "2"])
    shown = world.run("weights", "show", "atd-light_x2")[1]
    assert "sha256 of the first download, " in shown
    assert len(far.requests) == 1


@pytest.mark.parametrize("answer", ["y", ""])
def test_a_terminal_is_asked_for_trust_and_enter_means_no(
    world: World, far: PublishedServer, photos: Path, answer: str
) -> None:
    code, shown = at_a_terminal(
        world, answer, "upscale", photos / "a.png", "-m", "atd-light", "-s", 2
    )
    assert "Nobody publishes a hash of atd-light_x2" in shown
    assert "[y/N]" in shown
    assert "licence not stated, from drive.usercontent.google.com?" in shown
    assert code == (0 if answer else 3), shown
    assert len(far.requests) == bool(answer)


@pytest.mark.slow
def test_recommended_weights_can_all_be_verified(world: World, far: PublishedServer) -> None:
    code, out, error = world.run("weights", "download", "recommended")
    assert code == 0, error
    names = [Path(line).stem for line in out.splitlines()]
    assert names == ["smfanet-plus_x4", "adaformer-published_x4", "smfanet-plus_x3",
                     "smfanet-plus_x2"]  # fmt: skip
    far.fault = "wrong"
    code, out, error = world.run("weights", "download", "--all")
    assert code == 1
    assert "smfanet_x4 could not be downloaded" in error
    assert "atd-light" not in error  # which --all leaves out without --trust-first


def test_the_list_is_best_first_per_scale(world: World, far: PublishedServer) -> None:
    world.run("weights", "download", "smfanet_x2")
    code, out, _ = world.run("weights", "list")
    assert code == 0
    rows = [line.split() for line in out.splitlines()[1:]]
    names = [row[0] for row in rows]
    scales = [row[2] for row in rows]
    assert scales == sorted(scales, reverse=True)
    assert names.index("smfanet-plus_x4") < names.index("adaformer_x4")
    assert set(PUBLISHED) < set(names)
    assert "downloaded" in next(row for row in rows if row[0] == "smfanet_x2")


def test_a_damaged_download_is_verified_and_mended(
    world: World, far: PublishedServer, photos: Path
) -> None:
    world.run("weights", "download", "smfanet_x4")
    file = world.cache / "weights" / "smfanet_x4.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    code, out, _ = world.run("weights", "verify", "smfanet_x4")
    assert code == 1
    assert "altered" in out
    code, _, error = world.run("upscale", photos, "-m", "smfanet", "--yes")
    assert code == 3
    assert "srcli weights download smfanet_x4 gets it again" in error
    assert world.run("weights", "download", "smfanet_x4")[0] == 0
    assert world.run("weights", "verify")[0] == 0


def test_two_processes_at_once_download_once(world: World, far: PublishedServer) -> None:
    said = [world.folder / f"{number}.txt" for number in range(2)]
    processes = [world.start(path, "weights", "download", "smfanet_x4") for path in said]
    assert [process.wait(timeout=600) for process in processes] == [0, 0], [
        path.read_text("utf-8") for path in said
    ]
    assert len(far.requests) == 1


def test_an_older_srcli_refuses_a_network_it_has_not(world: World, far: PublishedServer) -> None:
    text = world.manifest.read_text("utf-8")
    world.manifest.write_text(text.replace('model = "smfanet"', 'model = "smfanet-next"'), "utf-8")
    code, _, error = world.run("weights", "download", "smfanet_x4")
    assert code == 3
    assert "the network smfanet-next, which this srcli does not have" in error
    assert not far.requests


@pytest.mark.slow
def test_the_summary_says_that_better_weights_can_be_had(
    world: World, far: PublishedServer, photos: Path
) -> None:
    (shipped,) = [entry for entry in manifest() if entry.name == "adaformer_x4"]
    better = f"on clean images (Set5 32.51 dB, not {shipped.psnr_y['Set5']:.2f})"
    how = "-m smfanet-plus is sharper on clean images"
    image = photos / "a.png"
    redo = ("upscale", image, "--overwrite", "--effort", "fast")
    _, out, _ = world.run(*redo)
    (line,) = [one for one in out.splitlines() if better in one]
    assert how in line
    for silent in (("-q",), ("--json",), ("--offline",), ("-m", "adaformer-s")):
        _, out, error = world.run(*redo, *silent)
        assert "smfanet-plus is sharper" not in out + error, silent
    jpeg = photos / "compressed.jpg"
    Image.open(image).convert("RGB").save(jpeg, quality=60)
    _, out, _ = world.run("upscale", jpeg, "--effort", "fast")
    assert "adaformer-photo for 1" in out
    assert "smfanet-plus is sharper" not in out  # on clean images
    world.run(*redo)
    assert "smfanet-plus is sharper" not in world.run(*redo[:2], *redo[3:])[1]  # nothing was done
    world.run("weights", "download", "smfanet_x4")
    assert "smfanet-plus is sharper" not in world.run(*redo)[1]


def test_a_person_is_told_of_better_weights_once(
    world: World, far: PublishedServer, photos: Path
) -> None:
    told = [
        at_a_terminal(world, "", "upscale", photos / "a.png", "--overwrite", "--effort", "fast")[1]
        for _ in range(2)
    ]
    assert ["smfanet-plus is sharper" in shown for shown in told] == [True, False]
    assert SHIPPED.exists()


def test_the_entries_offered_are_published_ones() -> None:
    assert {published(name).model for name in PUBLISHED} == {
        "adaformer-published", "atd-light", "etds", "imdn", "ngswin", "rfdn", "rlfn", "smfanet",
        "smfanet-plus", "swinir-light",
    }  # fmt: skip
