"""`python -m srcli.training`: `srcli train` for machines that have little beside torch."""

import argparse
import sys
from pathlib import Path

from srcli.errors import ExitCode
from srcli.heartbeat import Heartbeat
from srcli.training.process import process_began, run_program


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m srcli.training", description="Train a network."
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--out", type=Path, help="folder to write to (training/NAME)")
    parser.add_argument(
        "--resume", action="store_true", help="continue from the folder's checkpoint"
    )
    parser.add_argument("--init", type=Path, metavar="FILE", help="weights to start from")
    parser.add_argument("--steps", type=int, help="length of the run, in place of the schedule's")
    parser.add_argument("--minutes", type=float, help="likewise, in minutes")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="FOLDER",
        help="training images, in place of the configuration's; repeatable",
    )
    parser.add_argument(
        "--sets", action="append", default=[], metavar="FOLDER", help="validation sets, likewise"
    )
    given = parser.parse_args()
    return run_program(lambda: _train(given))


def _train(given: argparse.Namespace) -> ExitCode:
    """Train as the command line says."""
    with Heartbeat(_say, f"training with {given.config}") as heartbeat:
        return _train_with(given, heartbeat)


def _say(line: str) -> None:
    sys.stderr.write(f"srcli: {line}\n")
    sys.stderr.flush()


def _train_with(given: argparse.Namespace, heartbeat: Heartbeat) -> ExitCode:
    from srcli.training.config_file import read_config
    from srcli.training.folder import RunFolder
    from srcli.training.loggers import JsonLogger, LineLogger
    from srcli.training.loop import RunOptions, train

    config = read_config(given.config)
    folder = RunFolder(given.out or Path("training") / config.weights.name)
    options = RunOptions(
        folder.path, given.resume, given.init, given.steps, given.minutes,
        tuple(given.data), tuple(given.sets), process_began(),
    )  # fmt: skip
    lines = LineLogger(sys.stderr, heartbeat.heard)
    try:
        train(config, options, [lines, JsonLogger(folder.log, lines.warn)])
    except KeyboardInterrupt:
        _say(folder.how_to_go_on())
        return ExitCode.INTERRUPTED
    return ExitCode.ALL_DONE


if __name__ == "__main__":
    sys.exit(_main())
