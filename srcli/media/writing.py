"""Write still pictures: a name in the folder is always a whole file."""

from collections.abc import Callable
from pathlib import Path

from srcli.errors import UnwritableImage, UsageError
from srcli.media.atomic import atomic_file
from srcli.media.fitting import fitted
from srcli.media.format import FormatError
from srcli.media.formats import FORMATS
from srcli.media.picture import Picture

__all__ = ["write_picture"]


def write_picture(
    picture: Picture,
    path: Path,
    *,
    quality: int = 95,
    whole: Callable[[Path], None] | None = None,
) -> None:
    """Write a picture in its `format`, all at once or not at all.

    What the format cannot hold is left out as `representable` says. JPEG is written without chroma
    subsampling; WebP lossless if the picture was; PNG, TIFF and BMP are exact.

    Args:
        picture: Upright pixels and what goes beside them.
        path: Final name; its suffix is not looked at, and an existing file is replaced.
        quality: 1 to 100, of JPEG and of lossy WebP.
        whole: See `atomic_file`.

    Raises:
        UnwritableImage: The picture is beyond the format's limit, or the disk refuses it.
        UsageError: No such quality.
    """
    if not 1 <= quality <= 100:
        raise UsageError(f"no quality {quality} (1 to 100)")
    format = FORMATS[picture.format]
    if max(picture.width, picture.height) > format.max_side:
        raise UnwritableImage(
            f"{path}: {picture.width}x{picture.height}, limit of {format.name} "
            f"{format.max_side} a side; use --format png or tiff"
        )
    try:
        with atomic_file(path, whole) as stream:
            format.encode(fitted(picture, format), stream, quality)
    except MemoryError:
        raise UnwritableImage(f"{path}: does not fit in memory; write it smaller") from None
    except (FormatError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnwritableImage(f"{path}: {reason}") from error
