"""Reading a weights file, after making sure that it is the one the manifest means."""

import hashlib

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from srcli.errors import WeightsError
from srcli.weights.manifest import WeightsEntry, box

__all__ = ["read_weights"]


def read_weights(entry: WeightsEntry) -> dict[str, Tensor]:
    """Read the parameters of `entry`, in fp32 whatever the file stores.

    Raises:
        WeightsError: The file is missing, or not byte for byte the one in the manifest.
    """
    path = box() / entry.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; reinstall srcli to restore it") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry.sha256:
        raise WeightsError(
            f"{path}: sha256 is {digest[:12]}…, the manifest says {entry.sha256[:12]}…; "
            "reinstall srcli to restore it"
        )
    try:
        return {name: tensor.to(torch.float32) for name, tensor in load(content).items()}
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a safetensors file ({error})") from error
