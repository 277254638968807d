"""srcli: a batch upscaler with sparse-attention super-resolution networks.

>>> import numpy as np
>>> from srcli import Upscaler
>>> Upscaler(scale=4)(np.zeros((4, 6, 3), np.uint8)).shape
(16, 24, 3)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srcli.errors import SrcliError
    from srcli.inference.maps import Explanation
    from srcli.inference.report import Report
    from srcli.inference.upscaler import Upscaled, Upscaler

__all__ = ["Explanation", "Report", "SrcliError", "Upscaled", "Upscaler"]

_HOMES = {
    "Explanation": "srcli.inference.maps",
    "Report": "srcli.inference.report",
    "SrcliError": "srcli.errors",
    "Upscaled": "srcli.inference.upscaler",
    "Upscaler": "srcli.inference.upscaler",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: `import srcli` itself is instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'srcli' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
