"""Compilation of the parts of a network that are worth it."""

import os
import shutil
import tempfile
from pathlib import Path

from torch import nn

from srcli.errors import UsageError
from srcli.models.spec import SRNetwork
from srcli.user_folders import user_cache

__all__ = ["compile_parts"]


def compile_parts(network: SRNetwork) -> str:
    """Let the parts of a network that are worth it be compiled when they first run, if it has any.

    What is compiled is kept in the user's cache folder (TORCHINDUCTOR_CACHE_DIR moves it).

    Returns:
        Why they will not be, if they cannot be kept: a line; "" if they will.

    Raises:
        UsageError: The network is on the CPU, and there is no C++ compiler.
    """
    parts = tuple(network.compilable())
    if not parts:
        return ""
    on_cpu = next(network.parameters()).device.type == "cpu"
    usual = "cl" if os.name == "nt" else "g++"  # what PyTorch looks for
    compiler = os.environ.get("CXX", usual)
    if on_cpu and shutil.which(compiler) is None:
        raise UsageError(
            f"no C++ compiler {compiler!r} to compile with; hint: install it, or set CXX"
        )
    cache = Path(os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(user_cache() / "compiled")))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        return (
            f"not compiled: {cache} cannot be written ({error.strerror}); hint: name another "
            "folder in TORCHINDUCTOR_CACHE_DIR"
        )
    for part in parts:
        _compile(part)
    return ""


def _compile(part: nn.Module) -> None:
    part.compile(dynamic=True)
