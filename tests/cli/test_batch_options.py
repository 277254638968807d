"""Selection, planning, messages and journal of a batch."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.cli import processes

ROOT = Path(__file__).parents[2]
FAST = ("--effort", "fast", "--precision", "fp32")
SMALL = ("-m", "adaformer-s", *FAST)


def srcli(
    *arguments: object, cwd: Path, text: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    settings = {"XDG_CONFIG_HOME": str(cwd / "user"), **environment}
    return processes.srcli(*arguments, cwd=cwd, text=text, timeout=240, **settings)


def save(path: Path, width: int, height: int, **more: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 9, y * 9, (x + y) * 4], -1).astype(np.uint8)
    Image.fromarray(pixels).save(path, **more)  # type: ignore[arg-type]
    return path


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def events(stdout: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in stdout.splitlines()]


def schema() -> dict[str, set[str]]:
    """The events and their fields, as docs/scripting.md has them."""
    text = (ROOT / "docs" / "scripting.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", fields)) | {"event", "time"} for name, fields in rows}


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", 12, 8)
    save(tmp_path / "in" / "b.jpg", 8, 12)
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    shown = srcli("upscale", "in", *SMALL, "--dry-run", cwd=tmp_path)
    assert shown.returncode == 1, shown.stderr
    assert re.search(r"in/a\.png +in_x4/a\.png +48x32", shown.stdout)
    assert re.search(r"in/b\.jpg +in_x4/b\.jpg +32x48", shown.stdout)
    assert "in/bad.png will fail: not a supported image" in shown.stdout
    assert "2 to do, 0 skipped, 1 will fail" in shown.stdout
    assert not (tmp_path / "in_x4").exists()
    told = events(srcli("upscale", "in", *SMALL, "--dry-run", "--json", cwd=tmp_path).stdout)
    assert [e["event"] for e in told] == ["planned"] * 3 + ["summary"]
    assert (told[0]["width"], told[0]["height"]) == (48, 32)
    for event in told:
        assert event.keys() <= schema()[str(event["event"])], event


def test_events_keep_to_their_schema(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", 12, 8)
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    frames = [Image.new("RGB", (10, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "in" / "moves.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "in" / "pages.tif", save_all=True, append_images=frames[1:])
    told = events(srcli("upscale", "in", "--json", *FAST, cwd=tmp_path).stdout)
    told += events(srcli("upscale", "in", "--json", "--compare", *FAST, cwd=tmp_path).stdout)
    assert {str(e["event"]) for e in told} == set(schema())
    for event in told:
        assert event.keys() <= schema()[str(event["event"])], event
    assert [e["exit_code"] for e in told if e["event"] == "summary"] == [1, 1]


def test_exact_sizes(tmp_path: Path) -> None:
    save(tmp_path / "in" / "wide.png", 30, 17)
    save(tmp_path / "in" / "high.png", 11, 23)
    ended = srcli("upscale", "in", "-o", "out", "--height", "40", *FAST, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    made = {p.name: size(p) for p in (tmp_path / "out").glob("*.png")}
    assert made == {"high.png": (19, 40), "wide.png": (71, 40)}


def test_sizes_that_cannot_be(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", 30, 17)
    save(tmp_path / "in" / "b.png", 60, 17)
    ended = srcli("upscale", "in", "--width", "200", *FAST, cwd=tmp_path)
    assert ended.returncode == 1
    assert (
        "in/a.png: 30x17 to 200x113 needs x6.67; adaformer makes x4 at most (120x68); hint: "
        in ended.stderr
    )
    assert size(tmp_path / "in_w200" / "b.png") == (200, 57)
    twice = srcli("upscale", "in", "--width", "9", "-s", "2", cwd=tmp_path)
    assert twice.returncode == 2
    assert "use one of --scale" in twice.stderr
    limited = srcli("upscale", "in/a.png", "--max-output-megapixels", "0.001", cwd=tmp_path)
    assert limited.returncode == 3
    assert "limit is 0.001; hint: --max-output-megapixels" in limited.stderr


def test_names_and_choices(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "old/c.jpg"):
        save(tmp_path / "in" / name, 8, 6)
    choice = ("--name", "{stem}-{size}.{ext}", "--include", "*.jpg")
    plan = ("upscale", "in", "--files-from", "-", *SMALL, "--dry-run", "--json")
    named = srcli(*plan, *choice, cwd=tmp_path, text="in/b.png\n")
    targets = [e["output"] for e in events(named.stdout) if e["event"] == "planned"]
    assert targets == ["in_x4/a-x4.jpg", "in_x4/old/c-x4.jpg", "in/b-x4.png"]
    collide = srcli("upscale", "in", "--exclude", "old/*", "--name", "{stem}.png",
                    "--format", "png", "-o", "in", cwd=tmp_path)  # fmt: skip
    assert collide.returncode == 2
    assert "is an input" in collide.stderr
    missing = srcli("upscale", "--files-from", "nowhere.txt", cwd=tmp_path)
    assert missing.returncode == 2
    assert "nowhere.txt: No such file" in missing.stderr


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", 8, 6)
    (tmp_path / "file").write_bytes(b"")
    ended = srcli("upscale", "in", "-o", "file/out", cwd=tmp_path)
    assert ended.returncode == 2
    assert "is not a folder" in ended.stderr


def test_quiet_and_verbose(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", 8, 6)
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    quiet = srcli("upscale", "in", "-q", *FAST, cwd=tmp_path)
    assert quiet.stdout == ""
    assert [line.split(":")[1] for line in quiet.stderr.splitlines()] == [" in/bad.png"]
    loud = srcli("upscale", "in", "-v", *FAST, cwd=tmp_path)
    assert "in/a.png: skipped, done before, with the same settings" in loud.stderr


def tagged(path: Path) -> Path:
    """A photograph that says where it was taken, in EXIF and XMP."""
    exif = Image.Exif()
    exif[0x010F] = "Maker of cameras"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0kept"
    xmp = b'<x:xmpmeta><rdf:Description exif:GPSLatitude="52,31.2N" dc:title="kept"/></x:xmpmeta>'
    return save(path, 12, 8, exif=exif, xmp=xmp, dpi=(240, 240))


@pytest.mark.parametrize("ending", ["jpg", "webp", "png", "tif"])
def test_places_are_left_out(tmp_path: Path, ending: str) -> None:
    tagged(tmp_path / "a.jpg")
    flag = "png" if ending == "png" else {"tif": "tiff"}.get(ending, ending)
    ended = srcli("upscale", "a.jpg", "--no-gps", "--format", flag, *FAST, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    (made,) = tmp_path.glob("a_x4.*")
    with Image.open(made) as image:
        exif = image.getexif()
        assert exif[0x010F] == "Maker of cameras"
        assert not exif.get_ifd(0x8825)
        assert exif.get_ifd(0x8769)[0x9286].endswith(b"kept")
    content = made.read_bytes()
    assert b"GPSLatitude" not in content
    assert b"52,31.2N" not in content
    if ending != "png":  # whose texts are compressed
        assert b"dc:title" in content


def test_metadata_are_stripped(tmp_path: Path) -> None:
    source = tagged(tmp_path / "a.jpg")
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(source) as image:
        image.save(tmp_path / "b.jpg", icc_profile=icc, exif=image.getexif(), dpi=(240, 240))
    ended = srcli("upscale", "b.jpg", "--strip-metadata", *FAST, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    with Image.open(tmp_path / "b_x4.jpg") as image:
        assert not image.getexif()
        assert image.info["icc_profile"] == icc
        assert image.info.get("dpi") != (240, 240)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(tmp_path: Path, shell: str) -> None:
    script = srcli("completion", shell, cwd=tmp_path).stdout
    assert "_SRCLI_COMPLETE" in script
    words = {"COMP_WORDS": "srcli upscale --effort ", "COMP_CWORD": "3" if shell != "fish" else ""}
    found = srcli(cwd=tmp_path, _SRCLI_COMPLETE=f"{shell}_complete", **words).stdout
    assert {"exact", "balanced", "fast"} <= set(re.findall(r"\w+", found))
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_names_that_would_move_the_cursor(tmp_path: Path) -> None:
    """No name breaks a line of the log, colours it, or ends the run."""
    good = save(tmp_path / "in" / "new\nline.png", 8, 6).read_bytes()
    odd = [b"esc\x1b[31m.png", b"bad\xff.png", b"[red]x.png", b"-o.png", b"100%s {stem}.png"]
    for name in odd:
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(good)
    (tmp_path / "in" / "bad\r.png").write_bytes(b"no image")
    planned = srcli("upscale", "in", *SMALL, "--dry-run", cwd=tmp_path)
    ended = srcli("upscale", "in", *FAST, cwd=tmp_path)
    assert (planned.returncode, ended.returncode) == (1, 1), ended.stderr
    for text in (planned.stdout, ended.stdout, ended.stderr):
        assert not set(text) & set("\x1b\r")
    assert "in/new\\nline.png -> in_x4/new\\nline.png" in ended.stderr
    assert "srcli: in/bad\\r.png: not a supported image" in ended.stderr
    assert "[red]x.png" in planned.stdout
    names = {os.fsencode(path.name) for path in (tmp_path / "in_x4").glob("*.png")}
    assert names == {*odd, b"new\nline.png"}


def test_a_gif_of_one_frame(tmp_path: Path) -> None:
    Image.new("P", (9, 7), 3).save(tmp_path / "still.gif")
    ended = srcli("upscale", "still.gif", *FAST, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert size(tmp_path / "still_x4.gif") == (36, 28)
