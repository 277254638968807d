"""The report: one HTML file that needs nothing else, to be opened from anywhere."""

import base64
import html
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template

import numpy as np
from PIL import Image

from srcli.inference.maps import Map
from srcli.inference.planes import Pixels
from srcli.viz.colours import hexadecimal
from srcli.viz.map_types import Bar, ColourMap, Explained, MapType, percent
from srcli.viz.pixels import as_rgb, fitted
from srcli.viz.sheet import headline
from srcli.viz.stats import MaskStats

__all__ = ["build_report"]

_LARGEST_IMAGE = 4096  # px a side of what the report holds of the result
_LARGEST_MAP = 1536  # cells a side; larger maps are thinned out


def build_report(
    explained: Explained, pixels: Pixels, stats: MaskStats, kinds: Sequence[MapType], name: str
) -> str:
    """The report of an image: before and after, every map over it, every window's numbers.

    Args:
        explained: What happened.
        pixels: The input, (h, w, c).
        stats: Its numbers.
        kinds: The maps to hold.
        name: Of the input.
    """
    height, width, _ = pixels.shape
    layers = len(explained.layers)
    result = _at_most(explained.image)
    rows, columns = explained.layers[0].local_mask.shape if layers else (0, 0)
    confidence = [m.confidence for m in explained.layers if m.confidence is not None]
    data = {
        "width": width,
        "height": height,
        "shown": result.size,
        "window": explained.window,
        "rows": rows,
        "columns": columns,
        "layers": layers,
        "first": "depth" if any(kind.name == "depth" for kind in kinds) else kinds[0].name,
        "hint": _HINT if layers else "",
        "before": _webp(_at_most(pixels)),
        "after": _webp(result),
        "maps": [_map(explained, kind, (height, width)) for kind in kinds],
        "confidence": [_means(explained, values) for values in confidence],
        "score": [_means(explained, explained.score(n + 1)) for n in range(len(confidence))],
        "halted": [_means(explained, m.global_mask) for m in explained.layers],
        "depth": _packed(explained.depth) if layers else "",
    }
    page = Template(files("srcli.viz").joinpath("report.html").read_text("utf-8"))
    text = name.encode("utf-8", "backslashreplace").decode()  # names need not be text
    title = f"{text}: {stats.model} x{stats.scale:g}, {stats.effort}"
    return page.substitute(
        title=html.escape(title),
        headline=html.escape(headline(stats)),
        table=_table(stats),
        data=json.dumps(data).replace("</", "<\\/"),
    )


_HINT = "Point at the image, or use the arrow keys on it, to see a window's numbers."


def _map(explained: Explained, kind: MapType, extent: tuple[int, int]) -> dict[str, object]:
    numbers = range(1, len(explained.layers) + 1) if kind.per_layer else (0,)
    pages = [_page(kind.paint(explained, number), extent) for number in numbers]
    return {"id": kind.name, "title": kind.title, "layered": kind.per_layer, "pages": pages}


def _page(painted: ColourMap, extent: tuple[int, int]) -> dict[str, object]:
    """A map as the browser stretches it over the image, beyond whose edge it may reach."""
    thin = -(-max(painted.cells.shape) // _LARGEST_MAP)
    cells = painted.cells[::thin, ::thin]
    image = Image.fromarray(np.ascontiguousarray(cells))
    image.putpalette(painted.palette.tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    unit = painted.unit * thin
    return {
        "image": _uri("image/png", stream),
        "width": cells.shape[1] * unit / extent[1],
        "height": cells.shape[0] * unit / extent[0],
        "legend": _legend(painted),
    }


def _legend(painted: ColourMap) -> str:
    title = f"<div>{html.escape(painted.title)}</div>"
    if isinstance(painted.legend, Bar):
        steps = painted.legend.colours[:: len(painted.legend.colours) // 24].tolist()
        colours = ", ".join(hexadecimal((r, g, b)) for r, g, b in steps)
        ticks = "".join(
            f'<b style="left: {position:.0%}">{html.escape(label)}</b>'
            for position, label in painted.legend.ticks
        )
        bar = f'<i style="background: linear-gradient(to right, {colours})"></i>'
        return f'{title}<div class="bar">{bar}<span>{ticks}</span></div>'
    entries = "".join(
        f'<li><span class="swatch" style="background: {hexadecimal(swatch.colour)}"></span>'
        f"{html.escape(swatch.label)}</li>"
        for swatch in painted.legend
    )
    return f"{title}<ul>{entries}</ul>"


def _table(stats: MaskStats) -> str:
    """Sparsity by layer (AdaFormer, Fig. 4)."""
    if not stats.halted_windows:
        return ""
    rows = "".join(
        f"<tr><td>{number}</td><td>{percent(windows)}</td>"
        f'<td class="meter"><i style="width: {windows:.1%}"></i></td><td>{percent(pixels)}</td>'
        f'<td class="meter"><i style="width: {pixels:.1%}"></i></td></tr>'
        for number, (windows, pixels) in enumerate(
            zip(stats.halted_windows, stats.halted_pixels, strict=True), start=1
        )
    )
    head = "<tr><th>layer</th><th>windows</th><th></th><th>pixels</th><th></th></tr>"
    return f"<table><caption>Halted before each layer</caption>{head}{rows}</table>"


def _means(explained: Explained, values: Map) -> str:
    """The mean of a map (h, w) in each window, in thousandths."""
    side = explained.window
    cells = values.reshape(values.shape[0] // side, side, -1, side)
    return _packed((1000 * cells.mean((1, 3), dtype=np.float64)).round())


def _packed(numbers: Map) -> str:
    """Whole numbers as base64 of 16-bit little-endian integers."""
    return base64.b64encode(numbers.astype("<u2").tobytes()).decode()


def _at_most(pixels: Pixels) -> Image.Image:
    image = Image.fromarray(as_rgb(pixels))
    if max(image.size) <= _LARGEST_IMAGE:
        return image
    return fitted(image, _LARGEST_IMAGE, _LARGEST_IMAGE)


def _webp(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=88, method=4)
    return _uri("image/webp", stream)


def _uri(kind: str, stream: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
