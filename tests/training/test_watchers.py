"""Output of the loggers."""

import json
import math
from pathlib import Path

from srcli.training.loggers import JsonLogger
from srcli.training.reports import ValidationReport


def test_the_log_is_json_whatever_was_measured(tmp_path: Path):
    path = tmp_path / "run" / "log.jsonl"
    report = ValidationReport(3, 1.5, {"Flat": math.inf, "Set5": 30.1}, {})
    JsonLogger(path, print).on_validation(report)
    assert "Infinity" not in path.read_text()
    assert json.loads(path.read_text())["exact"] == {"Flat": None, "Set5": 30.1}
