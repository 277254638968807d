"""Identify the network of parameters by their names and shapes."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

import torch

from srcli.errors import UnknownScale
from srcli.models import model_names, model_spec
from srcli.weights.header import Shape
from srcli.weights.load import Fit, fit_of

__all__ = ["Match", "closest", "expected_shapes", "match_parameters"]

Renaming = Callable[[str], str | None]

_NO_NOTES: Mapping[str, str] = MappingProxyType({})
_INDEX = re.compile(r"(?<=\.)\d+(?=\.)")


@dataclass(frozen=True)
class Match:
    """Comparison of parameters with one network.

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

    @property
    def stranger(self) -> bool:
        """True if file and network have so few names in common that they are unrelated."""
        common = self.fit.shared + len(self.fit.misshapen)
        return 2 * common < min(len(self.names), common + len(self.fit.missing))

    @property
    def resized(self) -> bool:
        """True if most names agree and most shapes do not: another size of the network."""
        return len(self.fit.misshapen) > self.fit.shared

    @property
    def beginning(self) -> str:
        """The names of the first parameters, to tell a stranger by."""
        return ", ".join(name[:80] for name in list(self.names)[:3])

    def describe(self) -> str:
        """Why the file cannot be used with the network, in one line and by the file's names."""
        if self.fit.whole:
            return (
                "shapes agree, but it was trained in another configuration (as CAMixer's ratio), "
                "which the network would not have; train it in the network's own"
            )
        return self.fit.describe()


def match_parameters(
    shapes: Mapping[str, Shape], notes: Mapping[str, str] = _NO_NOTES
) -> tuple[Match, ...]:
    """The networks whose parameters these are, in the registry's order; none if unknown.

    Args:
        shapes: The file's parameters.
        notes: What it says of itself: what `srcli train` made in a configuration that no network
            here has is of none of them, whatever its shapes.
    """
    found: dict[tuple[str, int], Match] = {}
    if notes.get("model") == "custom":
        return ()
    for match in _matches(shapes, None, None):
        if match.fit.whole:
            found.setdefault((match.model, match.scale), match)
    return tuple(found.values())


def closest(
    shapes: Mapping[str, Shape], model: str | None = None, scale: int | None = None
) -> Match:
    """The network that agrees with most of these parameters; what does not, by the file's names.

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
    return _by_file(min(matches, key=lambda match: (-match.fit.shared, match.fit.faults)))


def _by_file(match: Match) -> Match:
    """The match whose faults have the names that the file has, or would have, for them."""
    renaming = model_spec(match.model).from_authors
    if not match.authors or renaming is None:
        return match
    given = {ours: theirs for theirs, ours in match.names.items()}
    fit = replace(
        match.fit,
        missing=tuple(_of_authors(name, given, renaming) for name in match.fit.missing),
        unknown=tuple(given[name] for name in match.fit.unknown),
        misshapen=tuple((given[name], a, b) for name, a, b in match.fit.misshapen),
    )
    return replace(match, fit=fit)


def _of_authors(missing: str, given: Mapping[str, str], renaming: Renaming) -> str:
    """The authors' name for a parameter that the file lacks, made from one it has.

    That is one of the same module, or its like in another layer. Ours, if there is neither.
    """
    module, _, leaf = missing.rpartition(".")
    for ours, theirs in given.items():
        if ours.rpartition(".")[0] == module:
            guess = f"{theirs.rpartition('.')[0]}.{leaf}"
        elif ours.endswith(leaf) and _INDEX.sub("#", ours) == _INDEX.sub("#", missing):
            index = iter(_INDEX.findall(missing))
            guess = _INDEX.sub(lambda at, index=index: next(index, at[0]), theirs)
        else:
            continue
        if renaming(guess) == missing:
            return guess
    return missing


def _matches(shapes: Mapping[str, Shape], model: str | None, scale: int | None) -> Iterator[Match]:
    for name in model_names() if model is None else (model,):
        spec = model_spec(name)
        for one in spec.scales if scale is None else {scale} & set(spec.scales):
            yield _compare(shapes, name, one, None)
            if spec.from_authors is not None:
                yield _compare(shapes, name, one, spec.from_authors)


def _compare(
    shapes: Mapping[str, Shape],
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
    convert = model_spec(model).convert_authors
    if renaming is not None and convert is not None:
        empty = {ours: torch.empty(shape, device="meta") for ours, shape in given.items()}
        given = {ours: tuple(value.shape) for ours, value in convert(empty).items()}
    parts = {one.partition(".")[0] for one in given}
    always, optional = _shapes(model, scale)
    added = {one: shape for one, shape in optional.items() if one.partition(".")[0] in parts}
    fit = fit_of(given, {**always, **added})
    return Match(model, scale, renaming is not None, names, fit)


def expected_shapes(model: str, scale: int) -> Mapping[str, Shape]:
    """The shapes of the parameters that a network always has."""
    return _shapes(model, scale)[0]


@cache
def _shapes(model: str, scale: int) -> tuple[Mapping[str, Shape], Mapping[str, Shape]]:
    """Shapes of what a network always has, and of what its weights may lack, by name."""
    # On torch's meta device it would take three times as long.
    with torch.random.fork_rng(devices=[]):
        network = model_spec(model).build(scale)
        always = network.shapes_with(())
        whole = network.shapes_with(network.optional_parts)
    return always, {name: shape for name, shape in whole.items() if name not in always}
