"""`-m auto`: weights for clean or for compressed images, chosen for each input and told why."""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from srcli.inference.choose_weights import choose_weights
from srcli.inference.upscaler import Upscaler
from srcli.jobs.journal import Journal, journal_path
from srcli.jobs.result_records import read_record
from srcli.media import Compression
from srcli.weights import best_scale, box, fingerprint, fingerprint_of, photo_model
from srcli.weights import manifest as manifest_of_srcli
from tests.cli import processes
from tests.video.conftest import Recipe, make_clip

QUICK = ("-s", 2, "--effort", "fast", "--precision", "fp32")
CLEAN, PHOTO = "adaformer", "adaformer-photo"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest with photo weights of the default network: those for clean images, brighter."""
    folder = tmp_path_factory.mktemp("weights")
    return write_manifest(folder, ((PHOTO, "adaformer", 4),))


def write_manifest(folder: Path, entries: Sequence[tuple[str, str, int]]) -> Path:
    """Write variants of shipped weights, each with its name, network and scale, and a manifest."""
    tables: list[str] = []
    for variant, network, scale in entries:
        tensors = load_file(box() / f"{network}_x4.safetensors")
        tensors["tail.bias"] = tensors["tail.bias"] + 0.1
        file = folder / f"{variant}_x{scale}.safetensors"
        save_file(tensors, file)
        tables.append(
            f'[[weights]]\nname = "{file.stem}"\nmodel = "{network}"\nvariant = "{variant}"\n'
            f'scale = {scale}\nfile = "{file.name}"\nsize = {file.stat().st_size}\n'
            f'sha256 = "{hashlib.sha256(file.read_bytes()).hexdigest()}"\nlicence = "CC0"\n'
            'training_data = "none"\norigin = "a test"\npsnr_protocol = "not measured"\n'
        )
    path = folder / "manifest.toml"
    path.write_text("\n".join(tables))
    return path


@pytest.fixture(autouse=True)
def known_weights(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process and those of `srcli` know the photo weights."""
    monkeypatch.setenv("SRCLI_WEIGHTS_MANIFEST", str(manifest))
    monkeypatch.setitem(processes.ENVIRONMENT, "SRCLI_WEIGHTS_MANIFEST", str(manifest))


srcli = processes.srcli


@pytest.fixture
def mixed(tmp_path: Path, photo: np.ndarray) -> Path:
    """A clean PNG, a JPEG of low quality, and one of high quality."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    image = Image.fromarray(photo[:24, :32])
    image.save(folder / "clean.png")
    image.save(folder / "low.jpg", quality=40)
    image.save(folder / "high.jpg", quality=98)
    return folder


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_each_input_gets_its_weights_and_the_result_is_theirs(mixed: Path, tmp_path: Path) -> None:
    ended = srcli("upscale", mixed, "-o", tmp_path / "out", *QUICK, "--format", "png", "-v")
    assert ended.returncode == 0, ended.stderr
    assert f"low.jpg: weights {PHOTO} (JPEG quality 40)" in ended.stderr
    assert f"high.jpg: weights {CLEAN} (JPEG quality 98)" in ended.stderr
    assert f"clean.png: weights {CLEAN} (no traces of compression)" in ended.stderr
    assert f"{CLEAN} for 2, {PHOTO} for 1" in ended.stdout
    for model, name in ((PHOTO, "low.jpg"), (CLEAN, "high.jpg"), (CLEAN, "clean.png")):
        made = tmp_path / model / f"{Path(name).stem}.png"
        srcli("upscale", mixed / name, "-o", made, *QUICK, "-m", model)
        assert np.array_equal(pixels(made), pixels(tmp_path / "out" / made.name))
    assert not np.array_equal(
        Upscaler(PHOTO, 2)(np.asarray(Image.open(mixed / "low.jpg"))),
        Upscaler(CLEAN, 2)(np.asarray(Image.open(mixed / "low.jpg"))),
    )


@pytest.mark.slow
def test_the_choice_is_in_the_events_the_journal_and_the_dry_run(
    mixed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    dry = srcli("upscale", mixed, "-o", out, *QUICK, "--dry-run", "--json")
    run = srcli("upscale", mixed, "-o", out, *QUICK, "--json")
    for printed, event in ((dry, "planned"), (run, "done")):
        events = [json.loads(line) for line in printed.stdout.splitlines()]
        told = {
            Path(one["input"]).name: one["weights"][0]["model"]
            for one in events
            if one["event"] == event
        }
        assert told == {"clean.png": CLEAN, "high.jpg": CLEAN, "low.jpg": PHOTO}
    entries = Journal(out, create=False).entries()
    assert entries[Path("low.jpg")].chosen == f"{PHOTO} (JPEG quality 40)"
    table = srcli("upscale", mixed, "-o", tmp_path / "new", *QUICK, "--dry-run").stdout
    assert " ".join(table.split()).count(f"{PHOTO} (JPEG quality 40)") == 1
    assert " ".join(table.split()).count(f"or {PHOTO} if block edges are found") == 2
    again = srcli("upscale", mixed, "-o", out, *QUICK)
    assert "done before, with the same settings" in again.stdout


def test_a_single_results_record_has_the_choice(mixed: Path, tmp_path: Path) -> None:
    target = tmp_path / "one.png"
    assert srcli("upscale", mixed / "low.jpg", "-o", target, *QUICK).returncode == 0
    entry = read_record(target)
    assert entry is not None
    assert entry.chosen == f"{PHOTO} (JPEG quality 40)"


def test_a_named_model_chooses_nothing(mixed: Path, tmp_path: Path) -> None:
    ended = srcli("upscale", mixed, "-o", tmp_path / "out", *QUICK, "-m", CLEAN, "-v")
    assert ": weights " not in ended.stderr
    assert " for " not in ended.stdout
    assert Journal(tmp_path / "out", create=False).entries()[Path("low.jpg")].chosen == ""


@pytest.mark.slow
def test_a_clip_of_few_bits_gets_the_weights_for_compressed_ones(tmp_path: Path) -> None:
    for name, crf in (("low", "45"), ("high", "1")):
        clip = make_clip(
            tmp_path / f"{name}.mkv", Recipe(frames=3, size=(160, 120), options={"crf": crf})
        )
        ended = srcli("upscale", clip, "-o", tmp_path / "out", *QUICK, "-v")
        assert ended.returncode == 0, ended.stderr
        expected = PHOTO if name == "low" else CLEAN
        assert f"weights {expected} (h264, " in ended.stderr


@pytest.mark.slow
def test_masks_are_those_of_the_chosen_weights(mixed: Path, tmp_path: Path) -> None:
    for name in ("low.jpg", "clean.png"):
        ended = srcli("visualize-mask", mixed / name, "-s", 2, "-o", tmp_path / "masks")
        assert ended.returncode == 0, ended.stderr
        summary = json.loads(
            (tmp_path / "masks" / f"{Path(name).stem}_masks" / "summary.json").read_text("utf-8")
        )
        expected = PHOTO if name == "low.jpg" else CLEAN
        assert summary["weights"].startswith(f"{expected} (")
        assert summary["model"] == expected


def test_from_python_a_pil_jpeg_tells_its_quality_and_an_array_counts_as_clean(mixed: Path) -> None:
    upscaler = Upscaler("auto", 2, effort="fast")
    jpeg = Image.open(mixed / "low.jpg")
    chosen = upscaler.upscale(jpeg)
    assert chosen.report.chosen == f"{PHOTO} (JPEG quality 40)"
    assert np.array_equal(
        np.asarray(chosen.image), np.asarray(Upscaler(PHOTO, 2, effort="fast")(jpeg))
    )
    assert upscaler.explain(jpeg).report.chosen.startswith(PHOTO)
    array = upscaler.upscale(np.asarray(jpeg))
    assert array.report.chosen.startswith(f"{CLEAN} (")
    assert np.array_equal(array.image, Upscaler(CLEAN, 2, effort="fast")(np.asarray(jpeg)))


@pytest.mark.parametrize(
    ("compression", "model"),
    [
        (Compression(), CLEAN),
        (Compression("JPEG", 75, 2.0), PHOTO),
        (Compression("JPEG", 97, 4.0), CLEAN),
        (Compression("JPEG", 97, 4.0, blockiness=0.6), PHOTO),
        (Compression(blockiness=0.6), PHOTO),
        (Compression("WebP", bits_per_pixel=0.4), PHOTO),
        (Compression("WebP", bits_per_pixel=6.0), CLEAN),
        (Compression("AVIF", bits_per_pixel=0.2), PHOTO),
        (Compression("HEIC", bits_per_pixel=4.0), CLEAN),
        (Compression("h264", bits_per_pixel=0.05), PHOTO),
        (Compression("ffv1", bits_per_pixel=9.0), CLEAN),
        (Compression("h264"), CLEAN),
    ],
)
def test_the_choice_by_what_a_file_tells(compression: Compression, model: str) -> None:
    choice = choose_weights("auto", compression)
    assert choice is not None
    assert choice.model == model
    assert choose_weights(CLEAN, compression) is None


def test_settings_change_when_either_of_the_weights_does() -> None:
    entry = best_scale("auto", 4)
    both = fingerprint("auto", entry)
    assert both not in (fingerprint_of(entry), fingerprint_of(best_scale(PHOTO, 4)))
    assert fingerprint(CLEAN, entry) == fingerprint_of(entry)


def test_bench_asks_for_weights_by_name(tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    ended = srcli("bench", tmp_path, "-m", "auto")
    assert ended.returncode == 2
    assert f"hint: -m {CLEAN},{PHOTO}" in ended.stderr


def test_a_journal_without_the_column_is_read_and_gets_it(mixed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert srcli("upscale", mixed, "-o", out, *QUICK).returncode == 0
    database = sqlite3.connect(journal_path(out))
    database.execute("ALTER TABLE files DROP COLUMN chosen")
    database.commit()
    database.close()
    read = Journal(out, create=False)
    assert {entry.chosen for entry in read.entries().values()} == {""}
    read.close()
    again = srcli("upscale", mixed, "-o", out, *QUICK)
    assert again.returncode == 0, again.stderr
    assert "3: done before, with the same settings" in again.stdout
    written = Journal(out, create=True)
    assert {entry.state for entry in written.entries().values()} == {"done"}
    written.close()


def test_photo_weights_of_the_default_network_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = "adaformer-s-photo"
    monkeypatch.setenv(
        "SRCLI_WEIGHTS_MANIFEST", str(write_manifest(tmp_path, ((small, "adaformer-s", 4),)))
    )
    expected = PHOTO if any(entry.variant == PHOTO for entry in manifest_of_srcli()) else small
    assert photo_model("auto", 4) == expected
    both = ((small, "adaformer-s", 4), (PHOTO, "adaformer", 4))
    monkeypatch.setenv("SRCLI_WEIGHTS_MANIFEST", str(write_manifest(tmp_path, both)))
    assert photo_model("auto", 4) == PHOTO
    assert photo_model("auto", 1.5) == PHOTO  # reduced, as those for clean images are
    assert photo_model("adaformer", 4) is None


def test_without_photo_weights_every_input_gets_those_for_clean_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clean = tuple(entry for entry in manifest_of_srcli() if "photo" not in entry.name)
    monkeypatch.delenv("SRCLI_WEIGHTS_MANIFEST")
    module = sys.modules[manifest_of_srcli.__module__]  # its name is that of the function, too
    monkeypatch.setattr(module, "manifest", lambda: clean)
    assert photo_model("auto", 4) is None
    assert choose_weights("auto", Compression("JPEG", 10)) is None
    entry = best_scale("auto", 4)
    assert entry == best_scale(CLEAN, 4)
    assert fingerprint("auto", entry) == fingerprint_of(entry)
    image = np.zeros((8, 8, 3), np.uint8)
    assert Upscaler(scale=2, effort="fast").upscale(image).report.chosen == ""
