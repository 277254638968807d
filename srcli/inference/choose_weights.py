"""Choose between weights for clean and for compressed images, by what a file tells: `-m auto`."""

from srcli.defaults import SCALE
from srcli.inference.report import WeightsChoice
from srcli.media import Compression
from srcli.weights import clean_model, photo_model

__all__ = ["choose_weights"]

# Where the weights for compressed images begin to win: docs/measure/auto_choice.py.
_JPEG_QUALITY = 96
_BLOCKINESS = 0.08
_BITS_PER_PIXEL = {"WebP": 4.0, "AVIF": 3.0, "HEIC": 3.0, "JPEG XL": 1.0}
_CLIP_BITS_PER_PIXEL = 0.3


def choose_weights(
    model: str, compression: Compression, scale: float = SCALE
) -> WeightsChoice | None:
    """Choose weights for an input.

    Args:
        model: As asked for with `-m`.
        compression: Compression of the input, by its file and its pixels.
        scale: SR px per LR px to a side.

    Returns:
        The choice; None unless `model` is `auto`, and where there are only weights for clean
        images.
    """
    photo = photo_model(model, scale)
    if photo is None:
        return None
    traces = _traces_of(compression)
    if traces:
        return WeightsChoice(photo, traces)
    return WeightsChoice(clean_model(model), _clean(compression))


def _traces_of(compression: Compression) -> str:
    """The compression that leaves visible traces, in words; "" if there is none."""
    codec, quality, bits = compression.codec, compression.quality, compression.bits_per_pixel
    if quality is not None and quality <= _JPEG_QUALITY:
        return f"{codec} quality {quality}"
    if compression.blockiness >= _BLOCKINESS:
        return f"{codec}, with the blocks of a JPEG" if codec else "with the blocks of a JPEG"
    enough = _BITS_PER_PIXEL.get(codec, _CLIP_BITS_PER_PIXEL)
    if codec and quality is None and bits is not None and bits < enough:
        return f"{codec}, {bits:.2g} bits per pixel"
    return ""


def _clean(compression: Compression) -> str:
    """Compression that leaves next to no traces, in words."""
    codec, quality, bits = compression.codec, compression.quality, compression.bits_per_pixel
    if quality is not None:
        return f"{codec} quality {quality}"
    if codec and bits is not None:
        return f"{codec}, {bits:.2g} bits per pixel"
    return "no traces of compression"
