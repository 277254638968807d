"""docs/training_config.md has every key of a configuration, with its default."""

import re
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from srcli.data.degradation import DegradationRanges
from srcli.models.adaformer import AdaFormerConfig
from srcli.models.atd import ATDConfig
from srcli.models.camixer_atd import CAMixerATDConfig
from srcli.training import config
from srcli.training.config_file import read_config
from srcli.training.reports import StepReport, ValidationReport

PAGE = (Path(__file__).parents[2] / "docs" / "training_config.md").read_text("utf-8")
SECTIONS: dict[str, list[type]] = {
    "`[weights]`": [config.WeightsConfig],
    "adaformer": [AdaFormerConfig],
    "atd-light, camixer-atd-light": [ATDConfig, CAMixerATDConfig],
    "`[data]`": [config.DataConfig],
    "`[degradation]`": [DegradationRanges],
    "`[loss]`": [config.LossConfig],
    "`[distillation]`": [config.DistillationConfig],
    "`[schedule]`": [config.ScheduleConfig],
    "`[validation]`": [config.ValidationConfig],
    "`[run]`": [config.RunConfig],
}


def section(heading: str) -> str:
    """Text below a heading, up to the next one."""
    _, _, rest = PAGE.partition(f"# {heading}\n")
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def value_of(default: str) -> Any:
    """Value of a default in a table; None where there is none."""
    value: Any = tomllib.loads(f"x = {default}")["x"] if default else None
    return tuple(value) if default.startswith("[") else value


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_and_default_is_in_its_table(heading: str):
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.+) \|$", section(heading), re.MULTILINE)
    told = {key: value_of(default) for key, default, _ in rows}
    true: dict[str, Any] = {}
    for kind in SECTIONS[heading]:
        true |= {f.name: None if f.default is MISSING else f.default for f in fields(kind)}
    assert len(rows) == len(told)
    assert told == true
    assert {key: type(x) for key, x in told.items()} == {key: type(x) for key, x in true.items()}


def test_every_section_is_there():
    headings = re.findall(r"^## `\[(\w+)\]`$", PAGE, re.MULTILINE)
    assert headings == [f.name for f in fields(config.TrainingConfig)]


def test_the_smallest_configuration_reads(tmp_path: Path):
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(text.splitlines()) <= 10
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert read_config(path).network == AdaFormerConfig(scale=4)


def test_every_figure_of_the_log_is_explained():
    text = section("Reading the log")
    for report in (StepReport, ValidationReport):
        for field in fields(report):
            assert f"`{field.name}`" in text, field.name
