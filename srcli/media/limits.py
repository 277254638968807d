"""Limits of a decoder: pixels, memory, time."""

from dataclasses import dataclass

__all__ = ["DecodeLimits"]


@dataclass(frozen=True)
class DecodeLimits:
    """Limits for one input.

    Args:
        megapixels: Of the image, in millions.
        file_bytes: Of the file.
        memory: Bytes of address space of the decoder, beyond what it takes at rest; where the
            system limits that (Linux).
        seconds: Of wall time for one file.
    """

    megapixels: float = 512.0
    file_bytes: int = 4 << 30
    memory: int = 8 << 30
    seconds: float = 120.0
