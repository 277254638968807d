"""Names of fields that reach the disk stay those that version f8df6d1 wrote."""

from dataclasses import fields

import pytest

from srcli.benchmark.machine import Machine
from srcli.benchmark.measure import Row
from srcli.benchmark.results import Run, Summary
from srcli.jobs.journal_schema import RunRecord
from srcli.jobs.settings import Settings
from srcli.training.reports import StepReport, ValidationReport
from srcli.viz.stats import MaskStats

STORED = {
    Settings: "model weights size effort precision device tile quality metadata",
    RunRecord: "pid version model weights_sha256 settings resolved started ended outcome",
    Run: "dataset settings machine weights rows failed untried switched_off",
    Row: "contender picture width height psnr ssim seconds gflops dense_gflops peak_bytes "
    "halted_windows halted_tokens pure identical",
    Summary: "contender pictures psnr ssim median p95 spread per_second megapixels ratio gflops "
    "dense_gflops peak_bytes halted_windows halted_tokens pure identical without to_full",
    Machine: "processor device threads system python torch srcli commit peak_gflops",
    StepReport: "step done minutes restoration uncertainty gradient learning_rate halting "
    "samples_per_second waiting correlation live_windows teacher teacher_weight",
    ValidationReport: "step minutes exact balanced",
    MaskStats: "model effort scale width height window threshold halted_windows halted_pixels "
    "depth_shares pure_pixels gflops dense_gflops seconds exact_seconds",
}


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.__name__)
def test_fields_of_what_is_stored_keep_their_names(stored: type):
    assert [field.name for field in fields(stored)] == STORED[stored].split()


def test_settings_are_compared_by_the_text_that_was_written_before():
    text = Settings("adaformer", "abc", "x4", "balanced").text("png")
    assert text == (
        '{"device": "auto", "effort": "balanced", "format": "png", "metadata": "kept", '
        '"model": "adaformer", "precision": "auto", "quality": 95, "size": "x4", '
        '"tile": "auto", "weights": "abc"}'
    )
