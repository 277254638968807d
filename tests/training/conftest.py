"""A tiny network, a handful of images and a validation set: a run takes a second."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from srcli.data.resize import downscale, resize
from srcli.models.adaformer import AdaFormerConfig
from srcli.training.checkpoint import read_checkpoint
from srcli.training.config import (
    DataConfig,
    RunConfig,
    ScheduleConfig,
    TrainingConfig,
    ValidationConfig,
    WeightsConfig,
)
from srcli.training.reports import StepReport, TeacherReport, ValidationReport

TINY = AdaFormerConfig(
    2, channels=8, dim=8, residual_blocks=1, layers=3, heads=2, prototypes=3,
    confidence_channels=4, region=0,
)  # fmt: skip

CONFIG = """
weights = {{name = "tiny", licence = "CC0-1.0", training_data = "noise"}}
network = {{scale = 2, channels = 8, dim = 8, residual_blocks = 1, layers = 3, heads = 2,
            prototypes = 3, confidence_channels = 4, region = 0}}
data = {{folders = ["{images}"], patch = 16, batch = 8}}
schedule = {{steps = 6, lr = 2e-3, halting_from = 0.5}}
validation = {{sets = ["{benchmark}"]}}
run = {{device = "cpu", precision = "fp32", log_every = 1, threads = 1}}
"""


def whole_checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a run's checkpoint."""
    return dict(read_checkpoint(folder / "checkpoint.safetensors").tensors)


class Recorder:
    """Keeps what a run reports; can interrupt it after a step."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.steps: list[StepReport] = []
        self.teaching: list[TeacherReport] = []
        self.validations: list[ValidationReport] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.strange_networks: list[str] = []  # said of every run of the tiny network
        self._interrupt_at = interrupt_at

    def on_step(self, report: StepReport) -> None:
        self.steps.append(report)
        if report.step == self._interrupt_at:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_teacher(self, report: TeacherReport) -> None:
        self.teaching.append(report)

    def on_validation(self, report: ValidationReport) -> None:
        self.validations.append(report)

    def note(self, line: str) -> None:
        self.notes.append(line)

    def warn(self, line: str) -> None:
        strange = line.startswith("[network] is none that srcli runs")
        (self.strange_networks if strange else self.warnings).append(line)


@pytest.fixture
def images(tmp_path: Path, rng: np.random.Generator) -> Path:
    folder = tmp_path / "hr"
    folder.mkdir()
    for number in range(3):
        coarse = rng.integers(0, 256, (12, 14, 3), dtype=np.uint8)
        Image.fromarray(resize(coarse, 72, 84)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def benchmark_set(tmp_path: Path, rng: np.random.Generator) -> Path:
    folder = tmp_path / "Mini"
    for part in ("HR", "LR"):
        (folder / "x2" / part).mkdir(parents=True)
    hr = resize(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8), 40, 44)
    Image.fromarray(hr).save(folder / "x2" / "HR" / "one.png")
    Image.fromarray(downscale(hr, 2)).save(folder / "x2" / "LR" / "one.png")
    return folder


@pytest.fixture
def config(images: Path, benchmark_set: Path) -> TrainingConfig:
    return TrainingConfig(
        weights=WeightsConfig("tiny", "CC0-1.0", "noise, made up"),
        network=TINY,
        data=DataConfig((str(images),), patch=16, batch=4),
        schedule=ScheduleConfig(steps=6, lr=2e-3, halting_from=0.5, halting_lr=1e-3),
        validation=ValidationConfig((str(benchmark_set),), every_steps=3, every_minutes=0),
        run=RunConfig(seed=5, device="cpu", precision="fp32", log_every=1),
    )


@pytest.fixture
def longer(config: TrainingConfig) -> TrainingConfig:
    """A configuration with time to learn something."""
    schedule = replace(config.schedule, steps=60, halting_from=0.9, lr=3e-3)
    return replace(config, schedule=schedule)


@pytest.fixture
def config_toml(tmp_path: Path, images: Path, benchmark_set: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG.format(images=images, benchmark=benchmark_set).replace("\n   ", ""))
    return path
