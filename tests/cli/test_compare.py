"""`srcli upscale --compare`, from the command to the page."""

import html
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srcli.cli.compare_run import choose_spread
from srcli.jobs.job import Finished, Job, State
from tests.cli.processes import srcli
from tests.cli.test_visualize_mask import wait_for
from tests.conftest import save_png

SMALL = ("-m", "adaformer-s", "--effort", "fast", "-s", 2, "--no-disk-check")


def compare(*arguments: object, **environment: str):
    return srcli("upscale", *arguments, *SMALL, "--compare", timeout=240, **environment)


def words(page: Path) -> str:
    """Text of a page, without its images."""
    text = re.sub(r"data:image/webp;base64,[\w+/=]+", "", page.read_text("utf-8"))
    return html.unescape(text)


@pytest.fixture
def inputs(tmp_path: Path, photo: np.ndarray) -> Path:
    """A folder of every kind of input: seven images, one of them damaged, and a moving one."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    small = Image.fromarray(photo[:20, :28])
    alpha = np.dstack([photo[:20, :28], np.full((20, 28), 100, np.uint8)])
    save_png(folder / "alpha.png", alpha)
    Image.fromarray(photo[:20, :28, 0].astype(np.uint16) * 257).save(folder / "deep.png")
    small.convert("L").save(folder / "gray.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    small.save(folder / "turned.jpg", exif=exif)
    pages = [small, small.resize((30, 16))]
    pages[0].save(folder / "pages.tif", save_all=True, append_images=pages[1:])
    small.save(folder / "sub" / 'a & <b>"c.png')
    (folder / "damaged.png").write_bytes((folder / "gray.png").read_bytes()[:60])
    small.save(folder / "moving.gif", save_all=True, append_images=[small.rotate(90)])
    return folder


@pytest.mark.slow
def test_a_folder_of_everything(inputs: Path, tmp_path: Path) -> None:
    ended = compare(inputs, "--dry-run", "--json")
    assert ended.returncode == 1, ended.stderr  # one is damaged
    (told,) = [e for e in map(json.loads, ended.stdout.splitlines()) if e["event"] == "compare"]
    assert (told["images"], told["of"]) == (7, 7)
    assert not (tmp_path / "in_x2").exists()

    ended = compare(inputs, "--json")
    assert ended.returncode == 1, ended.stderr
    page = tmp_path / "in_x2" / "compare.html"
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    (told,) = [event for event in events if event["event"] == "compare"]
    assert told == told | {"output": str(page), "images": 6, "of": 6, "bytes": page.stat().st_size}
    text = words(page)
    assert text.count('<article class="pair"') == 6
    assert "<h1>in_x2: bicubic and srcli</h1>" in text
    assert "adaformer-s, x2, effort fast; 6 images made in this run" in text
    assert "% of the attention was computed" in text
    assert "transparent parts over gray" in text
    assert "gray, 16 bits" in text
    assert "8 of 16 bits" in text
    assert "20x28 px → 40x56 px (x2)" in text  # upright
    assert "the first of 2 pages or frames" in text
    assert "1 clip is left out" in text
    assert "damaged.png" in text.partition("<h2>Failed</h2>")[2]
    raw = page.read_text("utf-8")
    assert "<b>" not in raw
    assert str(tmp_path) not in text

    again = compare(inputs)  # nothing is left to do but the damaged one, and the page is made again
    assert again.returncode == 1, again.stderr
    assert f"{page} (6 of 6 images" in " ".join(again.stdout.split())
    assert words(page).count("not made in this run: done before, with the same settings") == 6
    assert "nothing that the two files show" in words(page)


def test_a_page_of_somebody_else_is_kept_and_nothing_is_begun(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "in_x2").mkdir()
    (tmp_path / "in_x2" / "compare.html").write_text("<html>mine</html>")
    ended = compare(inputs)
    assert ended.returncode == 2
    assert (
        "compare.html: exists, and was not made by srcli upscale --compare; hint:" in ended.stderr
    )
    assert [path.name for path in (tmp_path / "in_x2").iterdir()] == ["compare.html"]


def test_a_single_file_and_open(tmp_path: Path, photo: np.ndarray) -> None:
    if sys.platform != "linux":
        pytest.skip("what opens a file is faked with Linux's xdg-open")
    image = save_png(tmp_path / "a.png", photo[:16, :24])
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "xdg-open").write_text(
        f'#!/bin/sh\necho "$1" > {tmp_path}/n\nmv {tmp_path}/n {tmp_path}/o\n'
    )
    (tools / "xdg-open").chmod(0o755)
    ended = srcli(
        "upscale", image, *SMALL, "--open", PATH=f"{tools}:{os.environ['PATH']}", timeout=240
    )
    assert ended.returncode == 0, ended.stderr
    wait_for(tmp_path / "o")
    page = tmp_path / "a_x2_compare.html"
    assert (tmp_path / "o").read_text().strip() == str(page)
    assert "<h1>a.png: bicubic and srcli</h1>" in words(page)
    assert "the whole result" in words(page)


def test_where_no_page_can_be_written_the_results_stay(tmp_path: Path, photo: np.ndarray) -> None:
    image = save_png(tmp_path / "a.png", photo[:16, :24])
    assert srcli("upscale", image, *SMALL).returncode == 0
    Image.fromarray(photo).save(image)  # another image since: its result is kept and no enlargement
    ended = compare(image, "--on-mismatch", "keep")
    assert ended.returncode == 0
    assert "Cannot be shown: the result is 48x32 px" in words(tmp_path / "a_x2_compare.html")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    ended = compare(bad)
    assert ended.returncode == 3
    assert "no page: there is no result to compare" in ended.stdout
    assert not (tmp_path / "bad_x2_compare.html").exists()


def test_of_many_images_twenty_are_chosen_evenly() -> None:
    ends = [Finished(Job(Path(f"{n}"), Path("x"), "png"), State.DONE) for n in range(101)]
    chosen = [int(str(end.job.source)) for end in choose_spread(ends, 21)]
    assert chosen == list(range(0, 101, 5))
    assert choose_spread(ends[:20], 20) == ends[:20]
    assert len({id(end) for end in choose_spread(ends[:21], 20)}) == 20
