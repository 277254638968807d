"""Defaults of options that several rooms of srcli need; each stands here and nowhere else."""

__all__ = ["MODEL", "QUALITY", "SCALE"]

MODEL = "adaformer"
SCALE = 4
QUALITY = 95
"""Of JPEG and of the other lossy formats, 1 to 100."""
