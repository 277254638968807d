"""Which network parameters belong to, told from their names and shapes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import torch

from srcli.errors import UnknownScale
from srcli.models import model_names, model_spec
from srcli.weights.fit import Fit, fit_of
from srcli.weights.header import Shape

__all__ = ["Match", "closest", "recognise"]

Renaming = Callable[[str], str | None]


@dataclass(frozen=True)
class Match:
    """How parameters compare with one network.

    Args:
        model: The network.
        scale: The scale it is built for.
        authors: Whether the names are those of the network's authors, not ours.
        names: Our name for each of the file's; those computed here are left out.
        fit: What does not agree.
    """

    model: str
    scale: int
    authors: bool
    names: Mapping[str, str]
    fit: Fit


def recognise(shapes: Mapping[str, Shape]) -> tuple[Match, ...]:
    """The networks whose parameters these are, in the registry's order; none if unknown."""
    found: dict[tuple[str, int], Match] = {}
    for match in _matches(shapes, None, None):
        if match.fit.whole:
            found.setdefault((match.model, match.scale), match)
    return tuple(found.values())


def closest(
    shapes: Mapping[str, Shape], model: str | None = None, scale: int | None = None
) -> Match:
    """The network that agrees with most of these parameters.

    Args:
        shapes: The file's parameters.
        model: Only this network.
        scale: Only this scale.

    Raises:
        UnknownModel: There is no such network.
        UnknownScale: It is not built for that scale.
    """
    matches = list(_matches(shapes, model, scale))
    if not matches:
        which = model or "any network"
        have = ", ".join(map(str, model_spec(model).scales)) if model else "2, 3, 4"
        raise UnknownScale(f"{which} has no scale {scale} (have {have})")
    return min(matches, key=lambda match: (-match.fit.shared, match.fit.faults))


def _matches(shapes: Mapping[str, Shape], model: str | None, scale: int | None) -> Iterator[Match]:
    for name in model_names() if model is None else (model,):
        spec = model_spec(name)
        for one in spec.scales if scale is None else {scale} & set(spec.scales):
            expected = _expected(name, one)
            yield _compare(shapes, expected, name, one, None)
            if spec.from_authors is not None:
                yield _compare(shapes, expected, name, one, spec.from_authors)


def _compare(
    shapes: Mapping[str, Shape],
    expected: Mapping[str, Shape],
    model: str,
    scale: int,
    renaming: Renaming | None,
) -> Match:
    names: dict[str, str] = {}
    taken: set[str] = set()
    for theirs in shapes:
        ours = theirs if renaming is None else renaming(theirs)
        if ours is not None:
            names[theirs] = theirs if ours in taken else ours
            taken.add(names[theirs])
    given = {ours: shapes[theirs] for theirs, ours in names.items()}
    return Match(model, scale, renaming is not None, names, fit_of(given, expected))


@cache
def _expected(model: str, scale: int) -> Mapping[str, Shape]:
    """The shapes of a network's parameters."""
    # On torch's meta device it would take three times as long.
    with torch.random.fork_rng(devices=[]):
        network = model_spec(model).build(scale)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}
