"""Write still images: a name in the folder is always a whole file."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from srcli.atomic import BeforeRename, atomic_file
from srcli.defaults import QUALITY
from srcli.errors import UnwritableImage, UsageError
from srcli.media.format import Format, FormatError
from srcli.media.format_losses import without_losses
from srcli.media.formats import FORMATS
from srcli.media.image import DecodedImage

__all__ = ["write_image", "write_pages"]

_TROUBLE = (MemoryError, FormatError, OSError, ValueError)


def write_image(
    image: DecodedImage,
    path: Path,
    *,
    quality: int = QUALITY,
    before_rename: BeforeRename | None = None,
) -> tuple[str, ...]:
    """Write an image in its `format`, all at once or not at all.

    What the format cannot hold is left out as `losses_in` says. JPEG is written without
    chroma subsampling; WebP lossless if the image was; PNG, TIFF and BMP are exact.

    Args:
        image: Upright pixels and what goes beside them.
        path: Final name; its suffix is not looked at, and an existing file is replaced.
        quality: 1 to 100, of JPEG and of lossy WebP.
        before_rename: See `atomic_file`.

    Returns:
        What was lost, one line each.

    Raises:
        UnwritableImage: The image is beyond the format's limit, or the disk refuses it.
        UsageError: No such quality.
    """
    if not 1 <= quality <= 100:
        raise UsageError(f"quality must be 1 to 100, got {quality}")
    format = FORMATS[image.format]
    _require_size(image, format, path)
    try:
        with atomic_file(path, before_rename) as stream:
            fitting, losses = without_losses(image, format)
            format.encode(fitting, stream, quality)
    except _TROUBLE as error:
        raise _refusal(path, error) from error
    return losses


@contextmanager
def write_pages(
    format: str, path: Path, *, before_rename: BeforeRename | None = None
) -> Generator[Callable[[DecodedImage], tuple[str, ...]]]:
    """Write a file of several pages, all at once or not at all; one page is in memory at a time.

    Args:
        format: One that holds pages, by name.
        path: See `write_image`.
        before_rename: See `write_image`.

    Yields:
        What writes the next page, and returns what of it was lost, one line each.

    Raises:
        UnwritableImage: See `write_image`.
    """
    kind = FORMATS[format]
    assert kind.paged is not None, f"{format} holds one page"
    elsewhere: BaseException | None = None
    try:
        with atomic_file(path, before_rename) as stream:
            writer = kind.paged.begin(stream)

            def add(image: DecodedImage) -> tuple[str, ...]:
                _require_size(image, kind, path)
                try:
                    fitting, losses = without_losses(image, kind)
                    writer.add(fitting)
                except _TROUBLE as error:
                    raise _refusal(path, error) from error
                return losses

            try:
                yield add
            except BaseException as error:
                elsewhere = error
                raise
            writer.finish()
    except _TROUBLE as error:
        if error is elsewhere:
            raise
        raise _refusal(path, error) from error


def _require_size(image: DecodedImage, format: Format, path: Path) -> None:
    if max(image.width, image.height) > format.max_side:
        raise UnwritableImage(
            f"{path}: {image.width}x{image.height}, limit of {format.name} "
            f"{format.max_side} a side; hint: use --format png or tiff"
        )


def _refusal(path: Path, error: Exception) -> UnwritableImage:
    """A failure on the way to the disk, as one of srcli's errors."""
    if isinstance(error, MemoryError):
        return UnwritableImage(f"{path}: does not fit in memory; write it smaller")
    return UnwritableImage(f"{path}: {getattr(error, 'strerror', None) or error}")
