"""The measurement: every image through every contender, by turns.

Contenders take turns on each image, run after run, so that a machine that slows down slows
them all.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from srcli.benchmark.inputs import Sample
from srcli.benchmark.machine import PeakMemory, synchronise
from srcli.benchmark.methods import Method, MethodOutput
from srcli.errors import InputError
from srcli.inference.device import as_out_of_memory, release_cached_memory
from srcli.metrics.flops import count_flops
from srcli.metrics.protocols import Protocol, Quality

__all__ = ["MeasureSettings", "Measured", "Row", "measure"]


@dataclass(frozen=True)
class MeasureSettings:
    """Options of a measurement.

    Args:
        scale: SR px per LR px to a side.
        protocol: How results are compared with HR.
        repeats: Timed runs of each contender on each image.
        device: Where networks run.
    """

    scale: int
    protocol: Protocol
    repeats: int
    device: torch.device


@dataclass(frozen=True)
class Row:
    """One image through one contender.

    Args:
        contender: Its name.
        picture: Its name.
        width: LR px.
        height: LR px.
        psnr: dB, None without an original or without trained weights, or where it is infinite.
        ssim: Likewise.
        seconds: Of every timed run, forward only.
        gflops: Executed, a multiply-add counting twice; None if nothing was counted.
        dense_gflops: The same had nothing been spared.
        peak_bytes: Peak memory of a run; of the whole process on a CPU.
        halted_windows: By layer, the share of windows that the local branch left out.
        halted_tokens: By layer, the share of tokens that the global branch left out.
        pure: The share of px exempt from category attention; None where none can be.
        identical: What is compared equals the original, so that PSNR is infinite.
    """

    contender: str
    picture: str
    width: int
    height: int
    psnr: float | None
    ssim: float | None
    seconds: tuple[float, ...]
    gflops: float | None
    dense_gflops: float | None
    peak_bytes: int | None
    halted_windows: tuple[float, ...] = ()
    halted_tokens: tuple[float, ...] = ()
    pure: float | None = None
    identical: bool = False


@dataclass(frozen=True)
class Measured:
    """Results so far: rows of the images that all methods have done.

    Args:
        rows: One for each of these images and contender.
        interrupted: Whether someone stopped it before all images had been tried.
    """

    rows: tuple[Row, ...]
    interrupted: bool


@dataclass
class _Turn:
    """A contender at one image, half way."""

    contender: Method
    prepared: object
    outcome: MethodOutput
    gflops: float
    dense_gflops: float
    peak: int | None
    seconds: list[float]


def measure(
    methods: Sequence[Method],
    samples: Iterable[Sample],
    settings: MeasureSettings,
    on_image: Callable[[str], None],
    leave_out: Callable[[str, str], None],
) -> Measured:
    """Measure all contenders on all images; one that a contender fails on is left out.

    Ctrl-C ends it early, with what is measured by then.

    Args:
        methods: What is measured.
        samples: Images, loaded one after the other.
        settings: How.
        on_image: Told the name of each image that is done.
        leave_out: Told the name of each image that is left out, and why.
    """
    rows: list[Row] = []
    try:
        for sample in samples:
            found = _measured(methods, sample, settings)
            if isinstance(found, str):
                release_cached_memory(settings.device)
                leave_out(sample.name, found)
            else:
                rows += found
            on_image(sample.name)
    except KeyboardInterrupt:
        return Measured(tuple(rows), interrupted=True)
    return Measured(tuple(rows), interrupted=False)


def _measured(
    methods: Sequence[Method], sample: Sample, settings: MeasureSettings
) -> list[Row] | str:
    """One image through all contenders, or why that cannot be."""
    turns: list[_Turn] = []
    try:
        with as_out_of_memory():
            turns += [_warm_up(one, sample, settings) for one in methods]
            for _ in range(settings.repeats):
                for turn in turns:
                    turn.seconds.append(_timed(turn, settings.device))
            return [_row(turn, sample, settings) for turn in turns]
    except torch.OutOfMemoryError:
        height, width = sample.lr.shape[:2]
        return (
            f"{sample.name}: {width}x{height} LR px takes more memory than is free on "
            f"{settings.device}; hint: close other programs, or measure less at once with -m"
        )
    except (InputError, OSError) as error:
        return f"{sample.name}: {error}"


def _warm_up(contender: Method, sample: Sample, settings: MeasureSettings) -> _Turn:
    """The first run, untimed: counts operations and memory, and gives the result."""
    prepared = contender.prepare(sample.lr)
    peak = PeakMemory(settings.device)
    flops, raw = count_flops(lambda: contender.forward(prepared))
    taken = peak.read()
    dense, _ = count_flops(lambda: contender.dense(prepared)) if flops else (0, None)
    return _Turn(contender, prepared, contender.finish(raw), flops / 1e9, dense / 1e9, taken, [])


def _timed(turn: _Turn, device: torch.device) -> float:
    synchronise(device)
    started = time.perf_counter()
    turn.contender.forward(turn.prepared)
    synchronise(device)
    return time.perf_counter() - started


def _row(turn: _Turn, sample: Sample, settings: MeasureSettings) -> Row:
    quality: Quality | None = None
    if sample.hr is not None and turn.contender.has_quality:
        quality = settings.protocol.compare(turn.outcome.image, sample.hr, settings.scale)
    identical = quality is not None and math.isinf(quality.psnr)
    layers = turn.outcome.layers
    return Row(
        contender=turn.contender.name,
        picture=sample.name,
        width=sample.lr.shape[1],
        height=sample.lr.shape[0],
        psnr=None if quality is None or identical else quality.psnr,
        ssim=None if quality is None else quality.ssim,
        seconds=tuple(turn.seconds),
        gflops=turn.gflops or None,
        dense_gflops=turn.dense_gflops or None,
        peak_bytes=turn.peak,
        halted_windows=tuple(1.0 - layer.live_windows for layer in layers),
        halted_tokens=tuple(1.0 - layer.live_tokens for layer in layers),
        pure=_pure_share(turn.outcome, sample),
        identical=identical,
    )


def _pure_share(outcome: MethodOutput, sample: Sample) -> float | None:
    """The share of pure px of the image itself, without what it was extended by."""
    if outcome.pure is None:
        return None
    height, width = sample.lr.shape[:2]
    return float(outcome.pure[:height, :width].mean())
