"""Defaults of options that several rooms of srcli need; each stands here and nowhere else."""

__all__ = [
    "AUTO",
    "HALT_EPS",
    "LARGEST_SCALE",
    "MODEL",
    "PHOTO_MODELS",
    "PRECISIONS",
    "QUALITY",
    "SCALE",
    "SMOOTH",
    "TEMPORAL",
    "TEMPORAL_MODES",
]

AUTO = "auto"
"""In place of a model: `MODEL` or, for inputs that compression has damaged, a photo model."""
MODEL = "adaformer"
"""The network for clean images."""
PHOTO_MODELS = (f"{MODEL}-photo", "adaformer-s-photo")
"""Weights for images that compression has damaged; the first that there are is taken."""
PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16", "int8")
"""Choices of `--precision`."""
SCALE = 4
QUALITY = 95
"""Of JPEG and of the other lossy formats, 1 to 100."""
LARGEST_SCALE = 4
"""The largest that the networks here make at once."""
HALT_EPS = {"balanced": 0.05, "fast": 0.8}
"""The tolerances ε at which `MODEL` halts tokens, by effort; other networks have their own."""
SMOOTH = 32 / 255
"""Range of LR values up to which windows are computed a short way, at all efforts but exact."""

TEMPORAL = "off"
"""The one of `TEMPORAL_MODES` that is used unless another is asked for."""
TEMPORAL_MODES = ("off", "exact", "fast")
"""Results of earlier frames that are used again: of frames that repeat as a whole; also of parts
that no change reaches; also of parts that changed by coding noise alone or are reached weakly."""
