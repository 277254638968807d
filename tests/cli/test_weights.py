"""`srcli weights`, and what upscale does when weights are missing."""

import json
import os
import pty
import termios
from pathlib import Path

import pytest

from srcli.cli.weights import weights
from tests.cli.processes import COMMAND
from tests.cli.weights_world import SHIPPED, World, wait_until
from tests.conftest import ROOT
from tests.forked_python import ForkedPython


def test_from_the_list_to_the_bin(world: World) -> None:
    code, out, _ = world.run("weights", "list")
    assert code == 0
    states = {line.split()[0]: line for line in out.splitlines()}
    assert "bundled" in states["adaformer_x4"]
    assert "available" in states["far_x4"]
    assert "available" in states["atd-light_x4"]
    code, out, error = world.run("weights", "download", "far")
    assert (code, out.strip()) == (0, str(world.file))
    assert "downloading far_x4, 3.5 MB, licence CC0-1.0, from 127.0.0.1" in error
    assert world.file.read_bytes() == SHIPPED.read_bytes()
    assert world.run("weights", "download", "far", "far_x4")[0] == 0
    assert len(world.server.requests) == 1
    assert "downloaded" in world.run("weights", "show", "far_x4")[1]
    assert world.run("weights", "path", "far")[1].strip() == str(world.file)
    code, out, _ = world.run("weights", "verify")
    assert (code, out.split()) == (
        0,
        [
            "adaformer_x4:",
            "intact",
            "adaformer-s_x4:",
            "intact",
            "adaformer_x2:",
            "intact",
            "adaformer-s_x2:",
            "intact",
            "adaformer-photo_x4:",
            "intact",
            "adaformer-s-photo_x4:",
            "intact",
            "far_x4:",
            "intact",
        ],
    )
    code, _, error = world.run("weights", "remove", "far")
    assert (code, world.file.exists()) == (0, False)
    code, _, error = world.run("weights", "path", "far")
    assert code == 3
    assert "srcli weights download far_x4" in error
    code, out, _ = world.run("weights", "list", "--json")
    listed = {entry["name"]: entry for entry in json.loads(out)}
    assert listed["far_x4"]["state"] == "available"
    assert listed["adaformer_x4"]["path"] == str(SHIPPED)
    code, out, _ = world.run("weights", "path")
    assert str(world.cache / "imported") in out


def test_altered_files_are_found_and_not_used(world: World, image: Path) -> None:
    world.run("weights", "download", "far")
    content = bytearray(world.file.read_bytes())
    content[-1] ^= 1
    world.file.write_bytes(content)
    code, out, _ = world.run("weights", "verify", "far")
    assert code == 1
    assert "far_x4: altered: " in out
    code, _, error = world.run("upscale", image, "-m", "far")
    assert code == 3
    assert "srcli weights download far_x4 gets it again" in error
    assert not list(world.folder.glob("a_x4*"))
    assert world.run("weights", "download", "far", "--offline")[0] == 3
    assert world.run("weights", "download", "far")[0] == 0
    assert world.run("weights", "verify", "far")[0] == 0


def test_upscale_downloads_when_it_may(world: World, image: Path) -> None:
    code, _, error = world.run("upscale", image, "-m", "far")
    assert code == 3
    for word in ("srcli weights download far_x4", "3.5 MB", "127.0.0.1", "--yes"):
        assert word in error
    code, _, error = world.run("upscale", image, "-m", "far", "--yes", "--offline")
    assert code == 3
    assert "srcli is offline" in error
    assert world.run("upscale", image, "-m", "far", "-y", SRCLI_OFFLINE="1")[0] == 3
    assert not world.server.requests
    code, _, error = world.run("upscale", image, "-m", "far", SRCLI_AUTO_DOWNLOAD="1")
    assert code == 0
    assert "downloading far_x4, 3.5 MB" in error
    assert world.run("upscale", image, "-o", "plain.png")[0] == 0
    assert (world.folder / "plain.png").read_bytes() == (world.folder / "a_x4.png").read_bytes()
    world.file.unlink()
    assert world.run("upscale", image, "-m", "far", "-y", "--overwrite")[0] == 0
    assert len(world.server.requests) == 2
    offline = world.run("upscale", image, "-m", "far", "--offline", "--overwrite")
    assert offline[0] == 0


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 3)])
def test_a_terminal_is_asked(world: World, image: Path, answer: str, code: int) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    process = ForkedPython(
        [*COMMAND, "upscale", str(image), "-m", "far"],
        stdin=slave, stdout=slave, stderr=slave, env={**world.environment, "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while b"[Y/n]" not in shown:
        shown += os.read(master, 4096)
    assert not world.server.requests
    os.write(master, f"{answer}\n".encode())
    try:
        while part := os.read(master, 4096):
            shown += part
    except OSError:
        pass  # how Linux says that the other side has closed
    os.close(master)
    assert process.wait(timeout=600) == code, shown
    assert b"Download far_x4, 3.5 MB, licence CC0-1.0, from 127.0.0.1?" in shown
    assert world.file.exists() == (answer == "y")
    assert (b"B/s]" in shown) == (answer == "y")  # the bar


def test_three_at_once_download_once(world: World) -> None:
    world.server.manifest(world.manifest, "gated")
    said = [world.folder / f"{number}.txt" for number in range(3)]
    processes = [world.start(path, "weights", "download", "far") for path in said]
    waiting = "another process is downloading far_x4"
    wait_until(lambda: sum(waiting in path.read_text("utf-8") for path in said) == 2)
    assert not world.file.exists()
    world.server.gate.set()
    assert [process.wait(timeout=600) for process in processes] == [0, 0, 0]
    assert len(world.server.requests) == 1
    assert world.file.read_bytes() == SHIPPED.read_bytes()


def test_a_killed_download_goes_on(world: World) -> None:
    world.server.manifest(world.manifest, "gated")
    process = world.start(world.folder / "said.txt", "weights", "download", "far")
    partial = world.file.with_name(".far.safetensors.part")
    wait_until(lambda: partial.exists() and partial.stat().st_size > 1_000_000)
    process.kill()
    process.wait()
    assert not world.file.exists()
    there = partial.stat().st_size
    world.server.manifest(world.manifest, "ok")
    assert world.run("weights", "download", "far")[0] == 0
    assert world.server.ranges("ok") == [f"bytes={there}-"]
    assert world.file.read_bytes() == SHIPPED.read_bytes()


def test_failures_are_told_and_the_others_come(world: World) -> None:
    good = world.manifest.read_text("utf-8")
    bad = world.server.manifest(world.folder / "bad.toml", "wrong").read_text("utf-8")
    bad = bad.replace("far_x4", "bad_x4").replace("far.safetensors", "bad.safetensors", 1)
    world.manifest.write_text(bad + good, "utf-8")
    code, out, error = world.run("weights", "download", "bad_x4", "far")
    assert code == 1
    assert "srcli: bad_x4 could not be downloaded" in error
    assert out.strip() == str(world.file)


def test_the_mirror_of_the_environment(world: World) -> None:
    world.server.manifest(world.manifest, "nowhere")
    mirror = f"{world.server.address}/ok"
    assert world.run("weights", "download", "far", SRCLI_WEIGHTS_MIRROR=mirror)[0] == 0
    assert len(world.server.requests) == 1


@pytest.mark.parametrize("command", sorted(weights.commands))
def test_every_command_is_documented_and_every_option_has_help(command: str) -> None:
    page = (ROOT / "docs" / "weights.md").read_text("utf-8")
    assert f"srcli weights {command}" in page
    for parameter in weights.commands[command].params:
        assert parameter.param_type_name == "argument" or parameter.help  # type: ignore[attr-defined]


def test_some_of_several_downloads(world: World) -> None:
    """A mirror that is no address is told, and the file's own address serves."""
    mirror = {"SRCLI_WEIGHTS_MIRROR": "https://[mirror/x"}
    code, out, error = world.run("weights", "download", "atd-light_x4", "far", **mirror)
    assert code == 1
    assert "atd-light_x4: nobody publishes a hash" in error
    assert out.strip() == str(world.file)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["show", "nothing"], 2, "no weights named 'nothing' (have adaformer"),
        (["show", "nothing.pth"], 2, "nothing.pth does not exist"),
        (["download"], 2, "hint: srcli weights download recommended"),
        (["download", "atd-light"], 3, "hint: --trust-first (or SRCLI_TRUST_FIRST=1)"),
        (["remove", "adaformer_x4"], 2, "adaformer_x4 is bundled with srcli and cannot be removed"),
        (["remove", "far"], 2, "far_x4 is not here"),
        (["import", "nothing.pth"], 3, "nothing.pth: No such file or directory"),
        (["import", "team.toml"], 3, "neither a safetensors file nor a PyTorch"),
        (["convert", "team.toml", "x.safetensors"], 3, "neither a safetensors file nor a PyTorch"),
        (["download", "far", "--offline"], 3, "srcli is offline"),
    ],
)
def test_wrong_input(world: World, arguments: list[str], code: int, line: str) -> None:
    ended, _, error = world.run("weights", *arguments)
    assert ended == code, error
    assert line in error
    assert not world.server.requests
