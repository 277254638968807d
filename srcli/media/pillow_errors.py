"""The boundary around foreign decoders: their warnings, limits and exceptions stay inside."""

import struct
import threading
import warnings
import zlib
from collections.abc import Generator
from contextlib import contextmanager

from PIL import Image, ImageCms

__all__ = ["DECODER_ERRORS", "pillow_errors_as_ours"]

# What Pillow, zlib and struct raise, besides OSError, for files that are not whole. TypeError,
# AttributeError, RuntimeError and assertions are Pillow's slips on files it did not foresee.
DECODER_ERRORS = (
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    AssertionError,
    EOFError,
    struct.error,
    zlib.error,
    ImageCms.PyCMSError,
)

_LOCK = threading.Lock()


@contextmanager
def pillow_errors_as_ours() -> Generator[None, None, None]:
    """Silence Pillow's warnings and lift its pixel limit, for which srcli has its own.

    Both are settings of the whole process, so that one thread decodes at a time.
    """
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
