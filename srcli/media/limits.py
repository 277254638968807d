"""How much a decoder may take before it is stopped."""

from dataclasses import dataclass

__all__ = ["DecodeLimits"]


@dataclass(frozen=True)
class DecodeLimits:
    """What one input may take.

    Args:
        megapixels: Of the picture, in millions.
        file_bytes: Of the file.
        memory: Bytes of address space of the decoder, beyond what it takes at rest; where the
            system limits that (Linux).
        seconds: Of wall time for one file.
    """

    megapixels: float = 512.0
    file_bytes: int = 4 << 30
    memory: int = 8 << 30
    seconds: float = 120.0
