"""Show what `srcli doctor` finds: lines, JSON."""

import dataclasses
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import av
import click
import torch

from srcli.cli.console import echo_fields
from srcli.inference.self_check import SelfTest

__all__ = ["machine_rows", "shown", "versions_here", "with_verdicts"]

_PACKAGES = (
    *("srcli", "torch", "av", "numpy", "pillow", "safetensors"),
    *("pillow-heif", "pillow-jxl-plugin", "pylibjxl", "spandrel"),
)


def versions_here() -> Iterator[tuple[str, str]]:
    """Versions of everything that computes, decodes or encodes, as far as it is here."""
    yield "system", f"{platform.platform()}, {platform.machine()}"
    yield "python", platform.python_version()
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
    yield "ffmpeg", ".".join(map(str, av.library_versions["libavcodec"])) + " (libavcodec)"
    if torch.version.cuda:
        yield "cuda", torch.version.cuda
    if torch.backends.cudnn.is_available():
        yield "cudnn", str(torch.backends.cudnn.version())


def machine_rows(
    versions: dict[str, str], encoders: dict[str, str], weights: list[str]
) -> Iterator[tuple[str, str]]:
    """Lines about the machine: versions, hardware encoders and weights that are here."""
    yield from versions.items()
    usable = [name for name, reason in encoders.items() if not reason]
    without = [name for name, reason in encoders.items() if reason]
    yield "encoders", ", ".join(usable) or "no hardware encoder can be used"
    if without:
        yield "", f"without their device: {', '.join(without)}"
    yield "weights", ", ".join(weights)


def shown(test: SelfTest, *, as_json: bool) -> SelfTest:
    """Print how a device did, as soon as it is known, unless all are printed as JSON."""
    if not as_json:
        click.echo()
        echo_fields(_device_rows(test))
    return test


def _device_rows(test: SelfTest) -> Iterator[tuple[str, str]]:
    yield "device", test.name
    yield "memory", f"{test.free / 1e9:.1f} of {test.total / 1e9:.1f} GB free"
    yield "precision", f"{test.precision} (can compute {', '.join(test.precisions)})"
    for width, backends in test.attention.items():
        yield "attention", f"{', '.join(backends)} (heads of {width} channels)"
    for check in test.checks:
        verdict = "ok" if check.passed else "WRONG"
        off = f"{check.difference:.2g} off, may be {check.limit:g}"
        yield "test", f"{verdict}: {check.name}, {off}"
    for effort, milliseconds in test.milliseconds.items():
        yield "time", f"{milliseconds:.1f} ms for {test.size} px at x4, {effort}"
    if test.error:
        yield "failed", test.error


def with_verdicts(test: SelfTest) -> dict[str, Any]:
    """A test as JSON, with what passed."""
    return dataclasses.asdict(test) | {
        "passed": test.passed,
        "checks": [dataclasses.asdict(check) | {"passed": check.passed} for check in test.checks],
    }
