"""Figures of images for `srcli reproduce adaformer-fig6`."""

import io
from collections.abc import Callable, Iterator

from srcli.benchmark.inputs import BenchmarkInputs, loaded
from srcli.benchmark.reproduce import ReproduceOptions, Reproduction
from srcli.benchmark.row_methods import SCALE
from srcli.inference.upscaler import Upscaler
from srcli.viz.exit_figure import draw_exit_figure

__all__ = ["exit_figures"]


def exit_figures(
    done: Reproduction, options: ReproduceOptions, on_image: Callable[[str], None]
) -> Iterator[tuple[str, bytes]]:
    """The figure of each image that has been measured, for each row.

    Args:
        done: What has been measured.
        options: How it was; the images are computed again, whole and in fp32.
        on_image: Told each image that is drawn.

    Yields:
        The name of a PNG file, and its content.
    """
    measured = [row for row in done.rows if row.ours]
    device = str(options.device)
    upscalers = {
        model: Upscaler(model, SCALE, device, "fp32", effort=options.effort, tile=0)
        for model in dict.fromkeys(row.row.model for row in measured)
    }
    for row in measured:
        inputs = BenchmarkInputs(
            row.dataset, None, None, None, None, options.data_root, options.limit
        )
        _, pairs = inputs.find(SCALE)
        for sample in loaded(pairs, SCALE, 0, _already_told):
            explained = upscalers[row.row.model].explain(sample.lr)
            stream = io.BytesIO()
            draw_exit_figure(explained, sample.lr).save(stream, "PNG", compress_level=3)
            plain = sample.name.replace("/", "_").replace("\\", "_")
            on_image(f"{row.dataset} {sample.name}")
            yield f"{row.dataset}_{plain}_{row.row.model}.png", stream.getvalue()


def _already_told(name: str, why: str) -> None:
    """Nothing: the measurement has told what is left out."""
