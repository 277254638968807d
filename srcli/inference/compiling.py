"""Compiling a network, with what was compiled kept for later processes."""

import os
import shutil

from torch import nn

from srcli.errors import UsageError
from srcli.models.spec import SRNetwork
from srcli.user_folders import user_cache

__all__ = ["compile_parts"]


def compile_parts(network: SRNetwork) -> None:
    """Let the parts of a network that are worth it be compiled when they first run, if it has any.

    What is compiled is kept in the user's cache folder (TORCHINDUCTOR_CACHE_DIR moves it).

    Raises:
        UsageError: The network is on the CPU, and there is no C++ compiler.
    """
    parts = tuple(network.compilable())
    if not parts:
        return
    on_cpu = next(network.parameters()).device.type == "cpu"
    compiler = os.environ.get("CXX", "g++")
    if on_cpu and shutil.which(compiler) is None:
        raise UsageError(f"no C++ compiler {compiler!r} to compile with: install it, or set CXX")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(user_cache() / "compiled"))
    for part in parts:
        _compile(part)


def _compile(part: nn.Module) -> None:
    part.compile(dynamic=True)
