"""Measure what a clip costs beside its network: decoding, colours, encoding, joining.

python docs/measure/clip_cost.py adaformer --scale 2 --effort fast --size 320x180 --frames 125

The clip is made here: a camera that pans over plasma, with a tone. Printed are frames a second, the
time end to end, the network's, and their ratio. With --random-weights the network is untrained, of
the same cost per window: for models whose weights are not here yet. With --batches 1,2,4 instead,
seconds a frame of so many frames at once, taking turns. With --encoders h264,hevc,av1 instead, what
each of them takes of the processor for a frame of the result, its conversion to YUV with it.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from srcli.inference.crop_reach import CropReach
from srcli.inference.device import pick_device, pick_precision
from srcli.inference.frame_batch import batch_size, upscale_batch
from srcli.inference.halting import resolve_halting
from srcli.inference.network import LoadedNetwork
from srcli.inference.report import Report
from srcli.jobs.clip_job import upscale_clip
from srcli.jobs.clip_source import ClipSettings
from srcli.jobs.job import CLIP, Job
from srcli.media import Pixels
from srcli.media.video import ClipInfo, EncoderOptions, SegmentWriter, choose_encoding
from srcli.media.video.colour import Colour
from srcli.models import model_spec
from srcli.weights import best_scale

RATE = 25


class Frames:
    """Stand-in for an upscaler of clips, for a network with or without weights."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        device = pick_device(wanted.device)
        dtype = pick_precision("auto", device)
        self.scale = wanted.scale
        spec = model_spec(wanted.model)
        if wanted.random_weights:
            self.network = LoadedNetwork.untrained(spec, wanted.scale, device, dtype)
        else:
            weights = best_scale(wanted.model, wanted.scale)
            self.network = LoadedNetwork(weights, device, dtype)
        self.halting = resolve_halting(spec, wanted.effort)

    def batch_for(self, height: int, width: int) -> int:
        """See `FrameUpscaler`."""
        return batch_size(self.network, height * width)

    def crop_reach(self, *, exact: bool) -> CropReach | None:
        """See `FrameUpscaler`; whole frames."""
        return None

    def upscale_frames(self, frames: Sequence[Pixels]) -> tuple[list[Pixels], Report]:
        """See `FrameUpscaler`."""
        return upscale_batch(self.network, frames, self.scale, self.halting)


def panned(width: int, height: int, frames: int) -> list[Pixels]:
    """Frames of an image that passes by, one LR px at a time."""
    noise = torch.rand(1, 3, 24, 24 + frames // 8, generator=torch.Generator().manual_seed(0))
    size = (height, width + frames)
    wide = torch.nn.functional.interpolate(noise, size, mode="bicubic").clamp(0, 1)[0]
    grain = torch.rand(3, *size, generator=torch.Generator().manual_seed(1)) / 20
    pixels = ((wide + grain).clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
    return [np.ascontiguousarray(pixels[:, number : number + width]) for number in range(frames)]


def write(path: Path, images: Sequence[Pixels]) -> None:
    """A clip of them, with a tone."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"crf": "18"})
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = "yuv420p"
        tone = out.add_stream("aac", rate=48000)
        tone.codec_context.layout = "mono"
        for number, pixels in enumerate(images):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        wave = np.sin(np.arange(48000 * len(images) // RATE) / 20).astype(np.float32)[None] / 2
        sound = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
        sound.sample_rate, sound.pts = 48000, 0
        out.mux(tone.encode(sound))
        out.mux(tone.encode(None))


def whole(upscaler: Frames, images: Sequence[Pixels], preset: str) -> None:
    """One clip from file to file."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.mp4"), Path(folder, "out.mp4")
        write(source, images)
        settings = ClipSettings(wanted=EncoderOptions(preset=preset))
        started = time.perf_counter()
        _, report = upscale_clip(
            Job(source, target, CLIP), upscaler, settings, lambda done, total: None
        )
        wall = time.perf_counter() - started
    sys.stdout.write(
        f"{len(images)} frames in {wall:.2f} s: {len(images) / wall:.2f} fps; network "
        f"{report.seconds:.2f} s, end to end {wall / report.seconds:.3f} of it\n"
    )


def encoders(images: Sequence[Pixels], names: Sequence[str], preset: str) -> None:
    """Processor time of encoders, whatever else runs."""
    height, width, _ = images[0].shape
    clock = Fraction(1, RATE)
    colour = Colour(full=False, primaries=1, transfer=1, matrix=1)
    info = ClipInfo(
        *(width, height, clock, Fraction(RATE), len(images), 8, "yuv420p", False, Fraction(1)),
        colour=colour,
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder, f"{name}.mkv")
            writer = SegmentWriter(
                path, choose_encoding(EncoderOptions(name, preset=preset), info, path), info
            )
            started = time.process_time()
            for number, pixels in enumerate(images):
                writer.add(number, 1, pixels)
            writer.finish()
            taken = (time.process_time() - started) / len(images)
            sys.stdout.write(f"{name}: {taken:.4f} s of the processor a frame\n")


def batches(upscaler: Frames, images: Sequence[Pixels], sizes: Sequence[int]) -> None:
    """Seconds a frame of several at once, the ways taking turns."""
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(3):
        for size in sizes:
            started = time.perf_counter()
            upscaler.upscale_frames(images[:size])
            times[size].append((time.perf_counter() - started) / size)
    alone = statistics.median(times[sizes[0]])
    for size, taken in times.items():
        median = statistics.median(taken)
        sys.stdout.write(f"{size} at once: {median:.4f} s a frame, {median / alone:.3f}\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--effort", default="fast")
    parser.add_argument("--size", default="320x180")
    parser.add_argument("--frames", type=int, default=125)
    parser.add_argument("--preset", default="")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batches", default="")
    parser.add_argument("--encoders", default="")
    parser.add_argument("--random-weights", action="store_true")
    wanted = parser.parse_args()
    width, height = (int(side) for side in wanted.size.split("x"))
    if wanted.encoders:
        larger = panned(width * wanted.scale, height * wanted.scale, wanted.frames)
        encoders(larger, wanted.encoders.split(","), wanted.preset)
        return
    upscaler = Frames(wanted)
    images = panned(width, height, wanted.frames)
    upscaler.upscale_frames(images[:1])
    threads = torch.get_num_threads()
    sys.stdout.write(
        f"{wanted.model} x{wanted.scale} {wanted.effort}, {wanted.size}, "
        f"{upscaler.network.device.type}, {threads} threads\n"
    )
    if wanted.batches:
        batches(upscaler, images, [int(size) for size in wanted.batches.split(",")])
    else:
        whole(upscaler, images, wanted.preset)


if __name__ == "__main__":
    main()
