"""Help answers at once, and tells everything."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from srcli.cli.main import main
from srcli.defaults import LARGEST_SCALE, MODEL
from srcli.errors import ExitCode

COMMANDS = sorted(main.commands)
HEAVY = {"torch", "numpy", "PIL", "av", "rich", "tifffile", "imageio"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([c, "--help"] for c in COMMANDS)]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom srcli.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as end: assert not end.code\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_exit_codes_are_in_the_help() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    for code in ExitCode:
        assert f"  {int(code):<3}  " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_help(command: str) -> None:
    for parameter in main.commands[command].params:
        assert parameter.param_type_name == "argument" or parameter.help  # type: ignore[attr-defined]


def test_importing_srcli_is_light() -> None:
    program = f"import sys, srcli; print(sorted({HEAVY!r} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_numbers_in_the_help_are_those_of_the_code() -> None:
    from srcli.media.video.encoders import find_encoder
    from srcli.models import model_spec
    from srcli.weights import largest_scale

    text = " ".join(CliRunner().invoke(main, ["upscale", "--help"]).output.split())
    efforts = model_spec(MODEL).efforts
    assert (
        f"balanced means {efforts['balanced'].eps:g} and fast means {efforts['fast'].eps:g}."
        in text
    )
    assert largest_scale(MODEL).scale == LARGEST_SCALE
    assert f"up to {LARGEST_SCALE}; fractions too" in text
    quality = ", ".join(f"{n} {find_encoder(n).default:g}" for n in ("h264", "hevc", "av1"))
    assert f"[default: {quality}]" in text
