"""Reading a weights file, after making sure that it is the one the manifest means."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from srcli.errors import WeightsError
from srcli.weights.header import Header, Shape, parse_header
from srcli.weights.local_files import file_of, resolved
from srcli.weights.manifest import how_to_get
from srcli.weights.manifest_file import COMMUNITY, Source, WeightsEntry

__all__ = [
    "Fit",
    "fit_of",
    "read_weights",
]

_FLOATS = ("F64", "F32", "F16", "BF16")


def read_weights(
    entry: WeightsEntry,
    expected: Callable[[Collection[str]], Mapping[str, Shape]] | None = None,
) -> dict[str, Tensor]:
    """Read the parameters of `entry`, real numbers in fp32 whatever the file stores.

    Args:
        entry: Which weights.
        expected: Takes the names of the file's parameters, and gives the shapes of the network's
            by name (`SRNetwork.shapes_with`); None takes what there is.

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
    if entry.converted and entry.model != COMMUNITY and header.for_spandrel:
        raise _altered(entry, "it was converted for spandrel, by an older srcli")
    _check(entry, header, header.shapes if expected is None else expected(header.shapes))
    try:
        return {
            name: tensor.to(torch.float32) if tensor.is_floating_point() else tensor
            for name, tensor in load(content).items()
        }
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
        if info.dtype not in _FLOATS and entry.model != COMMUNITY:
            raise WeightsError(f"{entry.file}: {name} is {info.dtype}, parameters are real numbers")


def _altered(entry: WeightsEntry, what: str) -> WeightsError:
    again = how_to_get(entry)
    if entry.source is Source.DOWNLOAD:
        again = f"srcli weights download {entry.name} gets it again"
    return WeightsError(f"{file_of(entry)}: {what}; {again}")


_LISTED = 10


@dataclass(frozen=True)
class Fit:
    """Differences between parameters and a network; empty if they fit.

    Args:
        missing: The network has them, the file does not.
        unknown: The file has them, the network does not.
        misshapen: Both have them, with other shapes: (name, the file's, the network's).
        shared: How many agree.
    """

    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    misshapen: tuple[tuple[str, Shape, Shape], ...]
    shared: int

    @property
    def whole(self) -> bool:
        """True if they fit."""
        return not (self.missing or self.unknown or self.misshapen)

    @property
    def faults(self) -> int:
        """Number of names that do not agree."""
        return len(self.missing) + len(self.unknown) + len(self.misshapen)

    def describe(self) -> str:
        """Describe the differences in one line: at most ten names, and how many there are."""
        lines = [
            *(f"missing {name}" for name in self.missing),
            *(f"unknown {name[:80]}" for name in self.unknown),
            *(f"{name} is {_size(a)} and not {_size(b)}" for name, a, b in self.misshapen),
        ]
        more = f", and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
        return f"{self.faults} of its parameters are wrong: {', '.join(lines[:_LISTED])}{more}"


def fit_of(given: Mapping[str, Shape], expected: Mapping[str, Shape]) -> Fit:
    """Hold the shapes of a file's parameters against those of a network."""
    both = [name for name in expected if name in given]
    misshapen = [(n, given[n], expected[n]) for n in both if given[n] != expected[n]]
    return Fit(
        missing=tuple(name for name in expected if name not in given),
        unknown=tuple(name for name in given if name not in expected),
        misshapen=tuple(misshapen),
        shared=len(both) - len(misshapen),
    )


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"
