"""Ends of jobs: what a batch in this process tells, its types checked as in every test."""

from pathlib import Path

import pytest
from beartype.roar import BeartypeCallHintParamViolation

from srcli.inference.report import Report
from srcli.jobs.job import Finished, Job, State

JOB = Job(Path("cat.png"), Path("cat_x4.png"), "png")


def test_an_end_tells_what_it_took():
    report = Report(1.0, 2, 1, 0, 0.5, (1.0,), exact=True)
    assert Finished(JOB, State.DONE, report=report).report is report
    with pytest.raises(BeartypeCallHintParamViolation):
        Finished(JOB, State.DONE, report="fast")  # type: ignore[arg-type]
