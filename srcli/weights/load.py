"""Reading a weights file, after making sure that it is the one the manifest means."""

import hashlib
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from srcli.errors import WeightsError
from srcli.weights.entry import Source, WeightsEntry
from srcli.weights.fit import fit_of
from srcli.weights.header import Header, Shape, parse_header
from srcli.weights.manifest import how_to_get
from srcli.weights.places import file_of
from srcli.weights.records import resolved

__all__ = ["read_weights"]

_FLOATS = ("F64", "F32", "F16", "BF16")


def read_weights(
    entry: WeightsEntry, expected: Mapping[str, Shape] | None = None
) -> dict[str, Tensor]:
    """Read the parameters of `entry`, in fp32 whatever the file stores.

    Args:
        entry: Which weights.
        expected: The shapes of the network's parameters by name; None takes what there is.

    Raises:
        WeightsError: The file is missing, not byte for byte the one in the manifest, or not of
            this network.
    """
    path = file_of(entry)
    meant = resolved(entry)
    if meant is None:
        raise WeightsError(how_to_get(entry))
    entry = meant
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size == entry.size else b""
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; {how_to_get(entry)}") from error
    digest = hashlib.sha256(content).hexdigest()
    who = "the record of its download" if entry.converted else "the manifest"
    if size != entry.size:
        raise _altered(entry, f"size is {size}, {who} says {entry.size}")
    if digest != entry.sha256:
        raise _altered(entry, f"sha256 is {digest[:12]}…, {who} says {entry.sha256[:12]}…")
    header = parse_header(content, size, str(path))
    _check(entry, header, header.shapes if expected is None else expected)
    try:
        return {name: tensor.to(torch.float32) for name, tensor in load(content).items()}
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a safetensors file ({error})") from error


def _check(entry: WeightsEntry, header: Header, expected: Mapping[str, Shape]) -> None:
    """Refuse tensors that are not the network's, from the header alone."""
    fit = fit_of(header.shapes, expected)
    if not fit.whole:
        raise WeightsError(
            f"{file_of(entry).name} does not fit {entry.model} x{entry.scale}: {fit.describe()}"
        )
    for name, info in header.tensors.items():
        if info.dtype not in _FLOATS:
            raise WeightsError(f"{entry.file}: {name} is {info.dtype}, parameters are real numbers")


def _altered(entry: WeightsEntry, what: str) -> WeightsError:
    again = how_to_get(entry)
    if entry.source is Source.DOWNLOAD:
        again = f"srcli weights download {entry.name} gets it again"
    return WeightsError(f"{file_of(entry)}: {what}; {again}")
