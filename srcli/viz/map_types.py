"""The kinds of maps: what each shows, in which colours, and which networks have it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srcli.inference.maps import Explanation, Map
from srcli.inference.planes import Pixels
from srcli.viz.colours import HALTED, LIVE, PARTLY, RGB, SEQUENCE, SMOOTH, viridis
from srcli.viz.pixels import as_rgb

__all__ = ["KINDS", "Bar", "ColourMap", "Explained", "MapType", "Swatch", "paint_states", "percent"]

Explained = Explanation[Pixels]
Palette = NDArray[np.uint8]


@dataclass(frozen=True)
class Swatch:
    """A legend's entry for one colour."""

    colour: RGB
    label: str


@dataclass(frozen=True)
class Bar:
    """A legend's entry for a range of colours.

    Args:
        colours: (n, 3) uint8, from left to right.
        ticks: Where along it, in [0, 1], which number stands.
    """

    colours: Palette
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class ColourMap:
    """A map in colours, one cell a value.

    Args:
        cells: (h, w) uint8, numbers of colours.
        palette: (n, 3) uint8, n ≤ 240.
        unit: LR px to a side of a cell.
        title: What it shows; "" if that is said elsewhere.
        legend: What the colours mean.
    """

    cells: NDArray[np.uint8]
    palette: Palette
    unit: int
    title: str
    legend: tuple[Swatch, ...] | Bar


@dataclass(frozen=True)
class MapType:
    """One kind of map.

    Args:
        name: As `--what` has it.
        title: In words.
        needs: What a network must tell: "layers"; "pure", what it exempts from the start; or
            "classes", why it does.
        per_layer: Whether there is one map for each layer, else one for the image.
        paint: Draws the map of a layer (1 for the first; ignored if not `per_layer`).
    """

    name: str
    title: str
    needs: str
    per_layer: bool
    paint: Callable[[Explained, int], ColourMap]


def _confidence(explained: Explained, layer: int) -> ColourMap:
    values = explained.layers[layer - 1].confidence
    assert values is not None
    ticks = tuple((tick / 4, f"{tick / 4:g}") for tick in range(5))
    return _continuous(values, f"confidence after layer {layer}", ticks)


def _score(explained: Explained, layer: int) -> ColourMap:
    ticks = [(0.0, "0"), (0.25, "0.25"), (0.5, "0.5"), (0.75, "0.75"), (1.0, "1 and more")]
    title = f"halting score after layer {layer}"
    if explained.threshold is not None:
        title += f" (halts at {explained.threshold:.3g})"
    return _continuous(explained.score(layer), title, tuple(ticks))


def _continuous(values: Map, title: str, ticks: tuple[tuple[float, str], ...]) -> ColourMap:
    steps = len(SEQUENCE) - 1
    cells = (np.clip(values, 0.0, 1.0) * steps).round().astype(np.uint8)
    return ColourMap(cells, SEQUENCE, 1, title, Bar(SEQUENCE, ticks))


def _local(explained: Explained, layer: int) -> ColourMap:
    maps = explained.layers[layer - 1]
    title = f"windows halted before layer {layer} (local branch)"
    return _mask(maps.local_mask, explained.window, title)


def _global(explained: Explained, layer: int) -> ColourMap:
    return _mask(
        explained.layers[layer - 1].global_mask,
        1,
        f"pixels halted before layer {layer} (global branch)",
    )


def _mask(
    mask: Map, unit: int, title: str, names: tuple[str, str] = ("live", "halted")
) -> ColourMap:
    share = float(mask.mean())
    legend = (
        Swatch(LIVE, f"{names[0]} {percent(1 - share)}"),
        Swatch(HALTED, f"{names[1]} {percent(share)}"),
    )
    return ColourMap(mask.astype(np.uint8), _palette((LIVE, HALTED)), unit, title, legend)


def paint_states(explained: Explained, layer: int) -> ColourMap:
    """Both masks of a layer in one: computed, in one branch only, or left as it was."""
    maps = explained.layers[layer - 1]
    window = explained.window
    local = maps.local_mask.repeat(window, 0).repeat(window, 1)
    state = local.astype(np.uint8) + maps.global_mask
    shares = np.bincount(state.ravel(), minlength=3) / state.size
    names = ("live", "halted in one branch", "halted in both")
    colours = (LIVE, PARTLY, HALTED)
    legend = tuple(
        Swatch(colour, f"{name} {percent(share)}")
        for colour, name, share in zip(colours, names, shares, strict=True)
    )
    return ColourMap(state, _palette(colours), 1, f"what halted before layer {layer}", legend)


def _depth(explained: Explained, _: int) -> ColourMap:
    depth, layers = explained.depth, len(explained.layers)
    shares = np.bincount(depth.ravel(), minlength=layers + 1) / depth.size
    place = 1.0 - np.arange(layers) / max(layers - 1, 1)
    palette = np.concatenate([_palette((SMOOTH,)), viridis(place)])
    colours: list[RGB] = [(int(r), int(g), int(b)) for r, g, b in palette]
    names = ["0, smooth", *(f"{layer}" for layer in range(1, layers)), f"{layers}, all"]
    first = 0 if shares[0] else 1  # smooth windows are named where there are any
    legend = tuple(
        Swatch(colour, f"{name}: {percent(share)}")
        for colour, name, share in zip(colours[first:], names[first:], shares[first:], strict=True)
    )
    title = "halting depth: layers computed"
    return ColourMap(depth, palette, explained.window, title, legend)


def _pure(explained: Explained, _: int) -> ColourMap:
    """Pure pixels (Pure-Pass), or the smooth windows of an AdaFormer."""
    if explained.pure is None:
        smooth, title = explained.layers[0].local_mask, "smooth windows: computed the short way"
        return _mask(smooth, explained.window, title, names=("computed", "smooth"))
    title = "pure pixels: exempt from category attention"
    return _mask(explained.pure.mask, 1, title, names=("computed", "pure"))


def _classes(explained: Explained, _: int) -> ColourMap:
    """The colour centre of every pure pixel, in the mean colour that its pixels have; others dark.

    These are names, not values: the colours are the image's own, the numbers the network's.
    """
    assert explained.pure is not None
    mask, classes = explained.pure.mask, explained.pure.classes
    height, width = mask.shape
    rows = np.array([y * explained.image.shape[0] // height for y in range(height)])
    columns = np.array([x * explained.image.shape[1] // width for x in range(width)])
    image = as_rgb(explained.image[rows[:, None], columns])[mask]  # (pure pixels, 3)
    numbers, places = np.unique(classes[mask], return_inverse=True)
    numbers, places = numbers[:_CLASSES], np.minimum(places, _CLASSES - 1)
    counts = np.bincount(places, minlength=len(numbers))
    sums = [np.bincount(places, image[:, channel], len(numbers)) for channel in range(3)]
    means = (np.stack(sums, -1) / np.maximum(counts, 1)[:, None]).round().astype(np.uint8)
    cells = np.zeros(mask.shape, np.uint8)
    cells[mask] = places + 1
    legend = [Swatch(LIVE, f"computed {percent(1 - mask.mean())}")]
    for number, count, mean in zip(numbers, counts, means.tolist(), strict=True):
        legend.append(
            Swatch((mean[0], mean[1], mean[2]), f"{number}: {percent(count / mask.size)}")
        )
    palette = np.concatenate([np.array([LIVE], np.uint8), means])
    return ColourMap(cells, palette, 1, "colour centre of each pure pixel", tuple(legend))


def _palette(colours: Sequence[RGB]) -> Palette:
    return np.array(colours, np.uint8)


def percent(share: float) -> str:
    """A share in words: "0 %" and "100 %" only if it is that.

    >>> percent(0), percent(0.0004), percent(0.256), percent(0.9999), percent(1)
    ('0 %', '<1 %', '26 %', '>99 %', '100 %')
    """
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 <= share < 1:
        return ">99 %"
    return f"{share:.0%}".replace("%", " %")


_CLASSES = 200  # colours a palette has room for


KINDS = {
    kind.name: kind
    for kind in (
        MapType("confidence", "confidence", "layers", True, _confidence),
        MapType("score", "halting score", "layers", True, _score),
        MapType("local", "halted windows (local branch)", "layers", True, _local),
        MapType("global", "halted pixels (global branch)", "layers", True, _global),
        MapType("depth", "halting depth", "layers", False, _depth),
        MapType("pure", "pure pixels", "pure", False, _pure),
        MapType("classes", "colour centres of pure pixels", "classes", False, _classes),
    )
}
