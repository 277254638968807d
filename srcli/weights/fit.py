"""Compare parameters with a network: missing, unknown or misshapen names."""

from collections.abc import Mapping
from dataclasses import dataclass

from srcli.weights.header import Shape

__all__ = ["Fit", "fit_of"]

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
