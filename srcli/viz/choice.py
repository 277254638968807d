"""Choose the maps and layers to draw, before any work."""

from collections.abc import Sequence

import torch

from srcli.errors import UsageError
from srcli.models import model_names, model_spec
from srcli.models.spec import EXACT, Halting
from srcli.viz.map_types import KINDS, MapType
from srcli.weights import network_of, runnable_networks
from srcli.weights.manifest_file import COMMUNITY

__all__ = ["choose_layers", "choose_map_types", "layer_count"]

_INTERPOLATION = ("bicubic", "bilinear", "lanczos", "nearest")


def choose_map_types(model: str, effort: str, what: Sequence[str]) -> tuple[MapType, ...]:
    """The kinds of maps to draw.

    Args:
        model: A network's name, or that of weights.
        effort: What it is asked for.
        what: Names as `--what` has them; "all" is everything that the network has, and "pure"
            brings the colour centres with it, if it has them.

    Raises:
        UsageError: The network has no masks, or not these, or not with this effort.
    """
    name, model = model, network_of(model)
    if model == COMMUNITY:
        raise UsageError(f"{name} has no masks, it computes everything (masks: {_all_having()})")
    if model not in model_names() and model not in _INTERPOLATION:
        model_spec(model)  # which says what there is
    told = _told(model, effort)
    if not told and not _can_tell(model):
        raise UsageError(f"{model} has no masks, it computes everything (masks: {_all_having()})")
    if "all" in what and told:
        return tuple(kind for kind in KINDS.values() if kind.needs in told)
    names = {*what, "classes"} if "pure" in what and "classes" in _can_tell(model) else set(what)
    chosen = tuple(kind for name, kind in KINDS.items() if name in names)
    for kind in chosen:
        if kind.needs not in _can_tell(model):
            raise UsageError(
                f"{model} has no {kind.title} (have: {', '.join(_having(kind.needs)) or 'none'})"
            )
    if not chosen or any(kind.needs not in told for kind in chosen):
        better = ", ".join(e for e in model_spec(model).efforts if _told(model, e) - told)
        raise UsageError(
            f"{model} leaves out nothing with effort {effort}; hint: --effort {better}"
        )
    return chosen


def choose_layers(text: str, count: int) -> tuple[int, ...]:
    """The layers of a network that `--layers` means.

    Args:
        text: "all", or numbers and commas.
        count: Layers of the network.

    Raises:
        UsageError: One of them does not exist.

    >>> choose_layers("all", 3), choose_layers("3,1", 6)
    ((1, 2, 3), (1, 3))
    """
    if text == "all":
        return tuple(range(1, count + 1))
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise UsageError(f"layers {text!r}; hint: use all, or numbers like 1,3,{count}") from None
    if not count:
        raise UsageError("the network has no layers to choose from; hint: leave out --layers")
    wrong = [number for number in numbers if not 1 <= number <= count]
    if wrong:
        raise UsageError(f"there is no layer {wrong[0]}: the network has layers 1 to {count}")
    return tuple(numbers)


def layer_count(model: str) -> int:
    """Adaptive layers of a network; 0 if it computes everything.

    Args:
        model: A network's name, or that of weights.
    """
    spec = model_spec(network_of(model))
    network = spec.build(spec.scales[0]).eval()
    with torch.inference_mode():
        return len(network(torch.zeros(1, 3, 1, 1), Halting(eps=None, observe=True)).layers)


def _told(model: str, effort: str) -> set[str]:
    """Kinds of information that a network gives at an effort; see `MapType`."""
    if model not in model_names():
        return set()
    efforts = model_spec(model).efforts
    told: set[str] = set()
    if any(halting.eps is not None for halting in efforts.values()):
        told.add("layers")
    halting = efforts.get(effort, EXACT)
    if halting.skip_pure:
        told |= {"pure", "classes"}
    elif halting.smooth:
        told.add("pure")
    return told


def _can_tell(model: str) -> set[str]:
    """Kinds of information that a network gives at one effort or another."""
    efforts = model_spec(model).efforts if model in model_names() else ()
    return {told for effort in efforts for told in _told(model, effort)}


def _having(needed: str) -> list[str]:
    return [name for name in _with_weights() if needed in _can_tell(name)]


def _all_having() -> str:
    return ", ".join(name for name in _with_weights() if _can_tell(name))


def _with_weights() -> list[str]:
    """The networks that can be run."""
    have = runnable_networks()
    return [name for name in model_names() if name in have]
