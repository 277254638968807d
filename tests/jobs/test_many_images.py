"""Batches of very many images: what is done before the first one, and what is said meanwhile."""

import os
from importlib import import_module
from pathlib import Path

import pytest

from srcli.cli import console
from srcli.inference.upscaler import Upscaler
from srcli.jobs.discover import discover
from srcli.jobs.job import Job
from srcli.jobs.naming import forget_folders, real_path
from srcli.jobs.plan import plan_jobs
from srcli.jobs.preflight import Forecast, require_room, sample_of
from srcli.jobs.upscale_image import UpscalersByScale


def many(folder: Path, count: int) -> list[Job]:
    """Jobs of small files, every tenth of which is larger."""
    jobs: list[Job] = []
    for number in range(count):
        source = folder / f"{number:04}.png"
        source.write_bytes(bytes(100 if number % 10 else 1000))
        jobs.append(Job(source, folder / "out" / source.name, "png"))
    return jobs


def test_disk_is_estimated_from_some_of_many_headers(tmp_path: Path) -> None:
    jobs = many(tmp_path, 2000)
    sample, times = sample_of(jobs)
    assert len(sample) == 400
    assert {sample[0], sample[-1]} <= {*jobs[:5], *jobs[-5:]}  # from end to end
    whole = 2000 * 100 + 200 * 900
    assert times == whole / sum(job.source.stat().st_size for job in sample)
    assert sample_of(jobs[:400]) == (jobs[:400], 1.0)


def test_estimate_of_a_sample_counts_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1500

    monkeypatch.setattr("srcli.jobs.preflight.shutil.disk_usage", lambda path: Usage)
    (job,) = many(tmp_path, 1)
    forecasts = [Forecast(job, None, None, disk=1000)]
    assert require_room(forecasts) == []
    (line,) = require_room(forecasts, times=2)
    assert "the results may take" in line


def test_folders_are_looked_at_once_and_lead_where_realpath_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one.png").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "a" / "alias.png").symlink_to(tmp_path / "a" / "b" / "one.png")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.chdir(tmp_path / "a")
    forget_folders()
    names = "b/one.png ../link/one.png ../link/../alias.png alias.png b . .. ../loop none/x.png"
    for name in names.split():
        for path in (Path(name), tmp_path / "a" / name):
            assert real_path(path) == os.path.realpath(path)


def test_manifests_are_read_once_for_many_images(monkeypatch: pytest.MonkeyPatch) -> None:
    upscalers = UpscalersByScale("adaformer-s", lambda scale: Upscaler("adaformer-s", scale), 4)
    read: list[Path] = []
    manifest = import_module("srcli.weights.manifest")
    whole = manifest.read_manifest
    monkeypatch.setattr(
        manifest, "read_manifest", lambda path, *more: read.append(path) or whole(path, *more)
    )
    monkeypatch.setenv("SRCLI_WEIGHTS_MANIFEST", str(manifest.box() / "manifest.toml"))
    first = upscalers.for_scale(4)
    once = len(read)
    assert once > 0
    assert all(upscalers.for_scale(4) is first for _ in range(100))
    assert len(read) == once


def test_preparations_are_counted_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many(tmp_path, 30)
    clock = iter(range(10_000))
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock) / 10)
    counted = console.ProgressCounter()
    sources = discover([tmp_path], count=counted.count)
    assert capsys.readouterr().err == "srcli: 7 images found so far\n"
    plan_jobs(sources, tmp_path / "out", label="x2", image_format=None, count=counted.count)
    assert capsys.readouterr().err == "srcli: 27 outputs planned so far\n"
