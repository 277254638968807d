"""The command with networks of the community: files, folders, imports, downloads, bench."""

import hashlib
import io
import json
import os
import pickle  # noqa: TID251 (to write one that runs code)
import re
import shlex
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import save as to_safetensors

from srcli.weights import known, manifest
from srcli.weights.manifest_file import WeightsEntry, as_toml
from tests.cli.test_published_weights import COMMUNITY_PART
from tests.community.networks import build, reference
from tests.weights.published_server import serving_published
from tests.weights.test_catalogue import CatalogueServer, far, model

__all__ = ["far"]

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def image(tmp_path: Path, photo: np.ndarray) -> Path:
    Image.fromarray(photo[:16, :24]).save(tmp_path / "x.png")
    return tmp_path / "x.png"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def write_clip(path: Path, frames: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for number in range(frames):
            frame = np.full((16, 32, 3), 40 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode(None))


def test_file_runs_at_its_own_scale_and_is_known_afterwards(
    srcli: Command, network_file: Callable[..., Path], image: Path, tmp_path: Path
) -> None:
    path = network_file("esrgan-unshuffle", "my net (v2).pth")
    code, _, said = srcli("upscale", image, "-m", path, "-o", tmp_path / "out")
    assert code == 0, said
    made = pixels(tmp_path / "out" / "x_x2.png")
    assert np.abs(made.astype(int) - reference("esrgan-unshuffle", pixels(image))).max() <= 1
    path.unlink()
    name = "my-net-v2"
    assert srcli("upscale", image, "-m", name, "-o", tmp_path / "again")[0] == 0
    assert "ESRGAN" in srcli("weights", "show", name)[1]
    assert srcli("weights", "remove", name)[0] == 0
    assert name not in srcli("weights", "list")[1]


def test_two_files_of_one_name_are_kept_apart(
    srcli: Command, network_file: Callable[..., Path], image: Path, tmp_path: Path
) -> None:
    first, other = network_file("compact", "a.pth"), network_file("compact", "b.pth", seed=1)
    (tmp_path / "sub").mkdir()
    other.rename(tmp_path / "sub" / "a.pth")
    names = set[str]()
    for number, path in enumerate((first, tmp_path / "sub" / "a.pth", first)):
        code, _, said = srcli("upscale", image, "-m", path, "-o", tmp_path / f"out{number}")
        assert code == 0, said
        names |= {entry.title for entry in known() if entry.folder is not None}
    assert len(names) == 2
    one, two, again = (pixels(tmp_path / f"out{n}" / "x_x4.png") for n in range(3))
    assert (one == again).all()
    assert (one != two).any()


def test_file_named_like_a_network_does_not_take_its_place(
    srcli: Command, network_file: Callable[..., Path], image: Path, tmp_path: Path
) -> None:
    path = network_file("compact", "adaformer.pth")
    code, _, said = srcli("upscale", image, "-m", path, "-o", tmp_path / "out")
    assert code == 0, said
    assert "RealESRGAN Compact" not in srcli("weights", "show", "adaformer")[1]


def test_folder_with_a_broken_image_a_clip_and_a_deep_tiff(
    srcli: Command,
    network_file: Callable[..., Path],
    tmp_path: Path,
    photo: np.ndarray,
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(np.dstack([photo, photo[..., 0]])).save(folder / "alpha.png")
    (folder / "broken.png").write_bytes((folder / "alpha.png").read_bytes()[:200])
    deep = photo[:16, :20].astype(np.uint16) * 250
    tifffile.imwrite(folder / "deep.tif", deep, photometric="rgb")
    write_clip(folder / "clip.mp4", 3)
    path = network_file("compact", "small.safetensors.pth")
    call = ("upscale", folder, "-m", path, "-s", 2, "-o", tmp_path / "out")
    code, _, said = srcli(*call)
    assert code == 1, said
    assert "broken.png" in said
    out = {path.name: path for path in (tmp_path / "out").iterdir() if not path.is_dir()}
    assert {"alpha.png", "deep.tif", "clip.mp4"} == {name for name in out if name[0] != "."}
    assert pixels(out["alpha.png"]).shape == (80, 112, 4)
    result = tifffile.imread(out["deep.tif"])
    assert (result.shape, result.dtype) == ((32, 40, 3), np.uint16)
    with av.open(str(out["clip.mp4"])) as container:
        frames = list(container.decode(video=0))
    assert [(f.width, f.height) for f in frames] == [(64, 32)] * 3
    before = {name: path.stat().st_mtime_ns for name, path in out.items()}
    code, _, said = srcli(*call)
    assert code == 1, said
    for name in ("alpha.png", "deep.tif", "clip.mp4"):
        assert out[name].stat().st_mtime_ns == before[name]


def test_chain_restores_before_it_enlarges(
    srcli: Command, network_file: Callable[..., Path], image: Path, tmp_path: Path
) -> None:
    chain = f"{network_file('compact-x1', '1x-clean.pth')},adaformer-s"
    code, _, said = srcli("upscale", image, "-m", chain, "-s", 2, "-o", tmp_path / "out")
    assert code == 0, said
    assert pixels(tmp_path / "out" / "x_x2.png").shape == (32, 48, 3)
    code, _, said = srcli("upscale", image, "-m", "adaformer-s", "-s", 2, "-o", tmp_path / "out",
                          "--on-mismatch", "keep")  # fmt: skip
    assert "1x-clean" in said or "model" in said  # made with other settings: not the chain's
    code, _, said = srcli("upscale", image, "-m", "1x-clean", "-o", tmp_path / "restored")
    assert code == 0, said
    made = pixels(tmp_path / "restored" / "x_x1.png")
    assert np.abs(made.astype(int) - reference("compact-x1", pixels(image))).max() <= 1


def test_import_names_a_file_by_itself_and_tells_what_it_is(
    srcli: Command, network_file: Callable[..., Path], image: Path, tmp_path: Path
) -> None:
    path = network_file("span", "2xNice_SPAN.pth")
    shown = json.loads(srcli("weights", "show", path, "--json")[1])
    assert (shown["networks"], shown["scale"]) == (["SPAN (spandrel)"], 2)
    code, out, said = srcli("weights", "import", path)
    assert (code, out.strip()) == (0, "2xNice_SPAN_x2"), said
    assert srcli("upscale", image, "-m", "2xNice_SPAN", "-o", tmp_path / "out")[0] == 0
    code, _, said = srcli("weights", "import", path, "--name", "adaformer-s")
    assert code == 2
    code, _, said = srcli("weights", "import", path, "--scale", 4, "--name", "wrong")
    assert code == 3
    assert "is SPAN x2, not x4" in said
    code, out, said = srcli("weights", "convert", path, tmp_path / "nice.safetensors")
    assert code == 0, said
    assert (
        srcli("upscale", image, "-m", tmp_path / "nice.safetensors", "-o", tmp_path / "o2")[0] == 0
    )


class Runs:
    """A pickle of it makes a folder when it is read."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("pwned",)


def test_pickles_that_run_code_are_refused(srcli: Command, image: Path, tmp_path: Path) -> None:
    state = build("compact").state_dict()
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({**state, "x": Runs()}))
    torch.save({"params": state, "more": Runs()}, tmp_path / "newer.pth")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:  # as torch.jit.save writes
        archive.writestr("script/constants.pkl", b"")
    for name, reason in (("evil.pth", "run code"), ("newer.pth", "run code"),
                         ("script.pt", "TorchScript is a program")):  # fmt: skip
        code, _, said = srcli("upscale", image, "-m", tmp_path / name)
        assert code == 3, said
        assert reason in said
    assert not (tmp_path / "pwned").exists()


def test_file_that_is_missing_or_no_network_is_one_line(
    srcli: Command, image: Path, tmp_path: Path
) -> None:
    code, _, said = srcli("upscale", image, "-m", "nothing.pth")
    assert (code, said.count("\n")) == (2, 1)
    assert "nothing.pth does not exist; hint:" in said
    torch.save({"a.weight": torch.zeros(3, 3)}, tmp_path / "odd.pth")
    code, _, said = srcli("upscale", image, "-m", tmp_path / "odd.pth")
    assert code == 3
    assert "matches no supported network" in said


def served_as(name: str, kind: str) -> tuple[WeightsEntry, bytes]:
    """A named entry as its manifest would have it if a small network were its file."""
    (entry,) = [one for one in manifest() if one.name == name]
    file = io.BytesIO()
    torch.save({"params_ema": build(kind).state_dict()}, file)
    content = file.getvalue()
    if entry.file.endswith(".safetensors"):
        content = to_safetensors(build(kind).state_dict())
    digest = hashlib.sha256(content).hexdigest()
    return replace(entry, size=len(content), sha256=digest), content


def test_well_known_name_is_downloaded_verified_and_run(
    srcli: Command, tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, content = served_as("realesrgan-x4plus_x4", "esrgan")
    (tmp_path / "team.toml").write_text(as_toml(entry), "utf-8")
    monkeypatch.setenv("SRCLI_WEIGHTS_MANIFEST", str(tmp_path / "team.toml"))
    with serving_published(tmp_path) as served:
        for name, value in served.environment.items():
            monkeypatch.setenv(name, value)
        served.serve(entry, content[::-1])
        call = ("upscale", image, "-m", "realesrgan-x4plus", "--yes", "-o", tmp_path / "out")
        code, _, said = srcli(*call)
        assert code == 3
        assert "the manifest says" in said
        served.serve(entry, content)
        code, _, said = srcli(*call)
    assert code == 0, said
    made = pixels(tmp_path / "out" / "x_x4.png")
    assert np.abs(made.astype(int) - reference("esrgan", pixels(image))).max() <= 1
    assert "licence BSD-3-Clause" in said
    assert srcli("weights", "verify", "realesrgan-x4plus")[0] == 0


def test_file_got_by_hand_takes_the_published_name_only_if_it_is_that_file(
    srcli: Command, network_file: Callable[..., Path], tmp_path: Path, image: Path
) -> None:
    code, _, said = srcli("upscale", image, "-m", "hat-s")
    assert code == 2
    assert "then srcli weights import FILE --name hat-s" in said
    (hat,) = [entry for entry in manifest() if entry.name == "hat-s_x4"]
    code, _, said = srcli("weights", "import", network_file("compact"), "--name", "hat-s")
    assert code == 3
    assert hat.sha256 in said
    assert "drive.google.com" in said


def test_model_of_the_catalogue_is_found_shown_and_run(
    srcli: Command,
    far: CatalogueServer,
    tmp_path: Path,
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = io.BytesIO()
    torch.save(build("span").state_dict(), file)
    content, url = file.getvalue(), "https://github.com/a/b/releases/download/v1/Nice.pth"
    resource = {"platform": "pytorch", "type": "pth", "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(), "urls": [url]}  # fmt: skip
    nice = model("Nice", url, scale=2, license="CC-BY-NC-4.0", resources=[resource])
    far.body = json.dumps({"2x-Nice": nice}).encode()
    code, out, said = srcli("weights", "search", "nice", "--scale", 2, "--max-size", "20M")
    assert code == 0, said
    assert "openmodeldb:2x-Nice" in out
    assert "CC-BY-NC-4.0 (non-commercial)" in out
    assert srcli("weights", "search", "--licence", "commercial")[0] == 3
    assert (
        "srcli upscale -m openmodeldb:2x-Nice" in srcli("weights", "show", "openmodeldb:2x-Nice")[1]
    )
    with serving_published(tmp_path) as served:
        for name, value in {**served.environment, "NO_PROXY": "127.0.0.1"}.items():
            monkeypatch.setenv(name, value)
        served.serve_at(url, content)
        code, _, said = srcli("upscale", image, "-m", "openmodeldb:2x-Nice", "-o", tmp_path / "a")
        assert code == 3
        assert "licence CC-BY-NC-4.0 (non-commercial use only)" in said
        code, _, said = srcli(
            "upscale", image, "-m", "openmodeldb:2x-Nice", "-o", tmp_path / "out", "--yes"
        )
    assert code == 0, said
    made = pixels(tmp_path / "out" / "x_x2.png")
    assert np.abs(made.astype(int) - reference("span", pixels(image))).max() <= 1
    code, _, said = srcli(  # without the catalogue and without network
        "upscale", image, "-m", "openmodeldb:2x-Nice", "-o", tmp_path / "c", "--offline"
    )
    assert code == 0, said


def test_bench_puts_a_file_beside_our_networks(
    srcli: Command, network_file: Callable[..., Path], tmp_path: Path, photo: np.ndarray
) -> None:
    (tmp_path / "hr").mkdir()
    Image.fromarray(photo).save(tmp_path / "hr" / "a.png")
    code, out, said = srcli(
        "bench", tmp_path / "hr", "-s", 2, "-m", f"adaformer-s,{network_file('span', 'nice.pth')}",
        "--effort", "exact", "--repeats", 1,
    )  # fmt: skip
    assert code == 0, said
    assert "adaformer-s" in out
    assert "nice" in out


COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", COMMUNITY_PART[0], re.DOTALL)
    for line in block.splitlines()
]


def test_every_command_of_the_section_works_as_printed(
    srcli: Command,
    far: CatalogueServer,
    network_file: Callable[..., Path],
    tmp_path: Path,
    photo: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo[:16, :24]).save(tmp_path / "photos" / "a.png")
    network_file("realplksr", "4xNomosWebPhoto_RealPLKSR.pth")
    wanted = {"realesrgan-x4plus_x4": "esrgan", "1x-dejpg_x1": "compact-x1"}
    tables = [served_as(name, kind) for name, kind in wanted.items()]
    (tmp_path / "team.toml").write_text("\n".join(as_toml(entry) for entry, _ in tables), "utf-8")
    monkeypatch.setenv("SRCLI_WEIGHTS_MANIFEST", str(tmp_path / "team.toml"))
    file = io.BytesIO()
    torch.save(build("realplksr", 1).state_dict(), file)
    url = "https://github.com/a/b/releases/download/v1/Nomos.pth"
    resource = {"platform": "pytorch", "type": "pth", "size": len(file.getvalue()),
                "sha256": hashlib.sha256(file.getvalue()).hexdigest(), "urls": [url]}  # fmt: skip
    nomos = model("4xNomosWebPhoto_RealPLKSR", url, resources=[resource])
    far.body = json.dumps({"4x-NomosWebPhoto-RealPLKSR": nomos}).encode()
    assert len(COMMANDS) == 8
    with serving_published(tmp_path) as served:
        for name, value in {**served.environment, "NO_PROXY": "127.0.0.1"}.items():
            monkeypatch.setenv(name, value)
        served.serve_at(url, file.getvalue())
        for entry, content in tables:
            served.serve(entry, content)
        for line in COMMANDS:
            program, *arguments = shlex.split(line)
            assert program == "srcli"
            code, _, said = srcli(*arguments)
            assert code == 0, (line, said)


def test_published_dctlsa_runs_and_is_the_published_file(
    srcli: Command, shared: Path, tmp_path: Path
) -> None:
    lr = shared / "data" / "benchmark" / "Set5" / "x4" / "LR" / "003.png"
    file = shared / "weights" / "published" / "DCTLSA_X4.pt"
    code, out, said = srcli("weights", "import", file)
    assert (code, out.strip()) == (0, "dctlsa_x4"), said
    code, _, said = srcli("upscale", lr, "-m", "dctlsa", "-o", tmp_path / "out")
    assert code == 0, said
    hr = pixels(shared / "data" / "benchmark" / "Set5" / "x4" / "HR" / "003.png")
    made = pixels(tmp_path / "out" / "003_x4.png")
    error = (made[4:-4, 4:-4].astype(float) - hr[4:-4, 4:-4]) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 25
