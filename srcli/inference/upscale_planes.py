"""Planes of an image through the network, part by part, each into its part of the result."""

import math
from dataclasses import dataclass

from torch import Tensor

from srcli.inference.alpha import clamp_alpha_to_source
from srcli.inference.flat_border import restore_flat_border
from srcli.inference.maps import MapStitcher
from srcli.inference.network import LoadedNetwork
from srcli.inference.output_size import Resizing
from srcli.inference.planes import Pixels
from srcli.inference.progress import Callbacks, watched_progress
from srcli.inference.report import Report
from srcli.inference.result_writer import result_writer
from srcli.inference.run_tiles import run_tiles, with_plans
from srcli.inference.tally import Tally
from srcli.inference.tile_planner import TilePlan, TilePlanner
from srcli.models.spec import Halting

__all__ = ["PlaneTask", "upscale_planes"]


@dataclass(frozen=True)
class PlaneTask:
    """A plane (c, h, w) in [0, 1] to upscale, and the array (H, W, c) for the result."""

    plane: Tensor
    target: Pixels
    resizing: Resizing
    maps: MapStitcher | None = None
    is_alpha: bool = False


def upscale_planes(
    network: LoadedNetwork,
    planner: TilePlanner,
    tasks: list[PlaneTask],
    halting: Halting,
    callbacks: Callbacks,
) -> Report:
    """Upscale all planes of an image; if memory runs out, all again with smaller tiles."""
    reruns = network.reruns

    def attempt(plan: TilePlan, restarts: int) -> Report:
        progress = watched_progress(network, plan, len(tasks), callbacks.on_progress)
        with progress as on_spared:
            tally = Tally(len(plan.grid) * len(tasks), callbacks.tile_done(network), on_spared)
            for task in tasks:
                _upscale_plane(network, task, plan, halting, tally)
        return tally.report(
            reruns=network.reruns - reruns,
            restarts=restarts,
            megapixels=math.prod(tasks[0].target.shape[:2]) / 1e6,
            exact=not plan.blends,
        )

    return with_plans(network, planner, tasks[0].plane, attempt)


def _upscale_plane(
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
