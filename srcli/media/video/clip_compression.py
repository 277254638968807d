"""Tell how lossily a clip was compressed: its codec, and the bits of its stream per pixel."""

from pathlib import Path

from av.error import FFmpegError
from PIL import Image

from srcli.errors import SrcliError
from srcli.media.image import Compression
from srcli.media.pillow_errors import DECODER_ERRORS
from srcli.media.read import probe, read_image
from srcli.media.video.animation_read import is_animation
from srcli.media.video.container import opened
from srcli.media.video.names import is_sequence
from srcli.media.video.scan import chosen_stream
from srcli.media.video.sequence import images_of

__all__ = ["compression_of_clip"]


def compression_of_clip(path: Path) -> Compression:
    """Compression of a clip by its header; of numbered images that of the first.

    Args:
        path: A clip, an animation, or a pattern of numbered images.

    Returns:
        Nothing known, if it cannot be read: whoever decodes it says why.
    """
    try:
        if is_sequence(path):
            return read_image(images_of(path)[0][1]).compression
        return _of_animation(path) if is_animation(path) else _of_stream(path)
    except (SrcliError, OSError, FFmpegError, *DECODER_ERRORS):
        return Compression()


def _of_animation(path: Path) -> Compression:
    """Of a lossy WebP; GIF and PNG are lossless, or as good as that."""
    if path.read_bytes()[:4] != b"RIFF":
        return Compression()
    info = probe(path)
    with Image.open(path) as image:
        frames = int(getattr(image, "n_frames", 1))
    bits = info.compression.bits_per_pixel
    return Compression(info.compression.codec, bits_per_pixel=bits and bits / frames)


def _of_stream(path: Path) -> Compression:
    with opened(path) as container:
        stream = chosen_stream(path, container)
        context = stream.codec_context
        rate = stream.average_rate or stream.guessed_rate
        bits = stream.bit_rate or container.bit_rate
        area = context.width * context.height
        known = bool(rate and bits and area)
        return Compression(
            context.name, bits_per_pixel=float(bits / (area * rate)) if known and rate else None
        )
