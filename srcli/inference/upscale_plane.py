"""One plane of an image through the network, part by part, into its part of the result."""

from dataclasses import dataclass

from torch import Tensor

from srcli.inference.alpha import clamp_alpha_to_source
from srcli.inference.flat_border import restore_flat_border
from srcli.inference.maps import MapStitcher
from srcli.inference.network import LoadedNetwork
from srcli.inference.output_size import Resizing
from srcli.inference.planes import Pixels
from srcli.inference.result_writer import result_writer
from srcli.inference.run_tiles import run_tiles
from srcli.inference.tally import Tally
from srcli.inference.tile_planner import TilePlan
from srcli.models.spec import Halting

__all__ = ["PlaneTask", "upscale_plane"]


@dataclass(frozen=True)
class PlaneTask:
    """A plane (c, h, w) in [0, 1] to upscale, and the array (H, W, c) for the result."""

    plane: Tensor
    target: Pixels
    resizing: Resizing
    maps: MapStitcher | None = None
    is_alpha: bool = False


def upscale_plane(
    network: LoadedNetwork, task: PlaneTask, plan: TilePlan, halting: Halting, tally: Tally
) -> None:
    """Upscale a plane into its target, part by part."""
    plane, scale, link = task.plane, network.scale, network.link
    writer = result_writer(task.target, task.resizing.made, link)
    if not task.resizing.computes:
        writer.put(plane, 0, 0)
        writer.finish()
        return
    for part in run_tiles(network, plane, plan, halting, tally, task.maps):
        image = part.image if len(plane) == 3 else part.image.mean(0, keepdim=True)
        at = part.top, part.left
        if network.spec.keeps_colours:
            image = restore_flat_border(image, plane, *at, scale, look_first=link is None)
        if task.is_alpha:
            image = clamp_alpha_to_source(image, plane, *at, scale)
        writer.put(image, *at)
        del part, image  # before the next one is made
    writer.finish()
