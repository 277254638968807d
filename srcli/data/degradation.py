"""Degradations of photographs before they are upscaled: other reductions, blur, noise, compression.

One chain serves training, where each patch draws its own at random, and `bench --degrade`, where it
is named. Everything works on 8-bit RGB (h, w, 3) and depends on nothing but its arguments.
"""

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from srcli.data.coded_frames import coded_by_h264
from srcli.data.reduction_kernels import KERNELS, reduced_region
from srcli.errors import UsageError

__all__ = [
    "DegradationRanges",
    "Degrader",
    "HRRegion",
    "degrader_named",
    "random_degradation",
    "random_degradations",
]

Image8 = NDArray[np.uint8]

_GRID = 16  # px: a block of 4:2:0 chroma, by which a patch's place in its image may be off
_POISSON = 0.5  # of noisy patches have noise that grows with brightness


@dataclass(frozen=True)
class HRRegion:
    """Where the HR pixels of an LR patch come from, cut only if they are wanted.

    Args:
        cut: Makes what `region_around` makes, turned as the patch is.
        scale: HR px per LR px.
    """

    cut: Callable[[], Image8]
    scale: int


@dataclass(frozen=True)
class DegradationRanges:
    """Degradations that patches draw from: the share of each, and its range.

    Args:
        share: Of patches that are degraded at all; the others stay clean.
        kernel: Of these, the share reduced from the HR image by another kernel than bicubic, one
            of `KERNELS`.
        jpeg: Share compressed as JPEG.
        jpeg_quality: Lowest and highest quality, 1 to 100.
        twice: Of the JPEGs, the share that is compressed a second time on another grid.
        subsampled: Of JPEGs, the share with 4:2:0 chroma.
        webp: Share compressed as lossy WebP.
        webp_quality: Lowest and highest quality, 1 to 100.
        h264: Share compressed as a frame of a clip; with `jpeg` and `webp` at most 1.
        h264_qp: Least and greatest quantisation parameter, 0 to 51.
        noise: Share with noise, before compression.
        noise_levels: Least and greatest standard deviation, in levels of 255.
        blur: Share that is blurred first.
        blur_radii: Least and greatest standard deviation of a Gaussian, LR px.
    """

    share: float = 0.0
    kernel: float = 0.0
    jpeg: float = 0.8
    jpeg_quality: tuple[float, ...] = (20.0, 95.0)
    twice: float = 0.1
    subsampled: float = 0.8
    webp: float = 0.1
    webp_quality: tuple[float, ...] = (30.0, 95.0)
    h264: float = 0.0
    h264_qp: tuple[float, ...] = (18.0, 36.0)
    noise: float = 0.2
    noise_levels: tuple[float, ...] = (0.5, 8.0)
    blur: float = 0.1
    blur_radii: tuple[float, ...] = (0.2, 0.7)


@dataclass(frozen=True)
class Degrader:
    """A named degradation.

    Args:
        name: As it was asked for, such as `noise:5+jpeg:75`.
        steps: What it does, one after the other: an image and random numbers to an image.
    """

    name: str
    steps: tuple[Callable[[Image8, np.random.Generator], Image8], ...] = field(repr=False)

    def __call__(self, image: Image8) -> Image8:
        """Degrade an image (h, w, 3); the same image always becomes the same."""
        seed = zlib.crc32(np.ascontiguousarray(image).tobytes())
        rng = np.random.default_rng((seed, zlib.crc32(self.name.encode())))
        for step in self.steps:
            image = step(image, rng)
        return image


def degrader_named(text: str) -> Degrader:
    """Find a degradation by its name, such as `jpeg:75`, `jpeg444:90`, `h264:28` or `noise:5`.

    Several joined by `+` follow each other; `none` changes nothing.

    Raises:
        UsageError: There is none of that name, or its number is out of range.

    >>> degrader_named("none")(np.full((1, 1, 3), 7, np.uint8)).tolist()
    [[[7, 7, 7]]]
    """
    if text == "none":
        return Degrader(text, ())
    return Degrader(text, tuple(_step_named(part, text) for part in text.split("+")))


def _step_named(part: str, whole: str) -> Callable[[Image8, np.random.Generator], Image8]:
    kind, _, number = part.partition(":")
    if kind not in _NAMED:
        raise UsageError(
            f"no degradation named {whole!r}; hint: {', '.join(f'{k}:N' for k in _NAMED)}, several "
            "joined by +, or none"
        )
    make, low, high = _NAMED[kind]
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise UsageError(f"{whole!r}: the number of {kind} must be {low:g} to {high:g}")
    return make(value)


def random_degradation(
    patch: Image8,
    ranges: DegradationRanges,
    rng: np.random.Generator,
    region: HRRegion | None = None,
) -> Image8:
    """Degrade a patch (p, p, 3) at random; the same numbers make the same of it.

    Without a `region` no other kernel reduces it.
    """
    if rng.random() >= ranges.share:
        return patch
    if ranges.kernel and rng.random() < ranges.kernel:
        kernel = KERNELS[rng.integers(len(KERNELS))]
        if region is not None:
            patch = reduced_region(region.cut(), region.scale, kernel)
    if rng.random() < ranges.blur:
        patch = _blurred(patch, _between(ranges.blur_radii, rng))
    if rng.random() < ranges.noise:
        level = _between(ranges.noise_levels, rng)
        patch = _noisy(patch, level, rng, poisson=rng.random() < _POISSON)
    kind = rng.random()
    if kind < ranges.jpeg:
        times = 2 if rng.random() < ranges.twice else 1
        for _ in range(times):
            subsampled = rng.random() < ranges.subsampled
            quality = round(_between(ranges.jpeg_quality, rng))
            patch = _off_grid(patch, partial(_jpeg, quality=quality, subsampled=subsampled), rng)
    elif kind < ranges.jpeg + ranges.webp:
        quality = round(_between(ranges.webp_quality, rng))
        patch = _off_grid(patch, partial(_webp, quality=quality), rng)
    elif kind < ranges.jpeg + ranges.webp + ranges.h264:
        qp = round(_between(ranges.h264_qp, rng))
        patch = _off_grid(patch, partial(coded_by_h264, qp=qp), rng)
    return patch


def random_degradations(
    patches: Sequence[Image8],
    ranges: DegradationRanges,
    rngs: Sequence[np.random.Generator],
    regions: Sequence[HRRegion | None],
) -> Image8:
    """Degrade patches (p, p, 3), each by its own random numbers, to (b, p, p, 3)."""
    each = zip(patches, rngs, regions, strict=True)
    return np.stack([random_degradation(one, ranges, its, hr) for one, its, hr in each])


def _between(pair: tuple[float, ...], rng: np.random.Generator) -> float:
    return float(rng.uniform(pair[0], pair[1]))


def _off_grid(
    patch: Image8, compress: Callable[[Image8], Image8], rng: np.random.Generator
) -> Image8:
    """Compress a patch that lies anywhere on the grid of blocks of its image."""
    top, left = (int(n) for n in rng.integers(0, _GRID, 2))
    height, width = patch.shape[:2]
    below, right = -(top + height) % _GRID, -(left + width) % _GRID
    wide = np.pad(patch, ((top, below), (left, right), (0, 0)), mode="reflect")
    return compress(wide)[top : top + height, left : left + width]


def _jpeg(image: Image8, quality: int, *, subsampled: bool) -> Image8:
    options = {"quality": quality, "subsampling": 2 if subsampled else 0}
    return _compressed(image, "JPEG", options)


def _webp(image: Image8, quality: int) -> Image8:
    return _compressed(image, "WEBP", {"quality": quality, "method": 2})


def _compressed(image: Image8, format: str, options: dict[str, int]) -> Image8:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format, **options)
    with Image.open(stream) as decoded:
        return np.asarray(decoded.convert("RGB"))


def _noisy(image: Image8, level: float, rng: np.random.Generator, *, poisson: bool) -> Image8:
    """Add noise of `level` standard deviations, of photons if `poisson`: less where it is dark."""
    noise = rng.standard_normal(image.shape, np.float32) * level
    if poisson:
        noise *= np.sqrt(image / np.float32(127.5))
    return (image + noise).round().clip(0, 255).astype(np.uint8)


def _blurred(image: Image8, radius: float) -> Image8:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


_NAMED: dict[
    str, tuple[Callable[[float], Callable[[Image8, np.random.Generator], Image8]], float, float]
] = {
    "jpeg": (lambda q: lambda image, _: _jpeg(image, round(q), subsampled=True), 1, 100),
    "jpeg444": (lambda q: lambda image, _: _jpeg(image, round(q), subsampled=False), 1, 100),
    "webp": (lambda q: lambda image, _: _webp(image, round(q)), 1, 100),
    "h264": (lambda qp: lambda image, _: coded_by_h264(image, round(qp)), 0, 51),
    "noise": (lambda n: lambda image, rng: _noisy(image, n, rng, poisson=False), 0, 100),
    "blur": (lambda r: lambda image, _: _blurred(image, r), 0, 20),
}
"""By name: what a number makes, and the least and greatest number."""
