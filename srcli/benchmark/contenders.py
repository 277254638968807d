"""What is measured: networks at an effort, and plain resampling to hold them against."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from srcli.data.pictures import read_rgb
from srcli.data.resize import resize
from srcli.errors import UsageError
from srcli.inference.network import LoadedNetwork
from srcli.inference.resample import reduce_planes
from srcli.inference.upscaler import Upscaler
from srcli.media import read_picture, write_picture
from srcli.models import model_names, model_spec
from srcli.models.spec import Halting, LayerTrace, SROutput
from srcli.weights import best_scale, network_of

__all__ = ["Contender", "Outcome", "contenders_named"]

Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Outcome:
    """A result, and what was spared on the way.

    Args:
        image: SR (s·h, s·w, 3) uint8.
        layers: What halted before each layer.
        pure: (h, w) bool, True = pure, of the LR picture extended to whole windows.
    """

    image: Image8
    layers: tuple[LayerTrace, ...] = ()
    pure: NDArray[np.bool_] | None = None


class Contender(ABC):
    """Something that upscales. Only `forward` is timed.

    Args:
        name: As in the tables.
        weights: sha256 of the weights, "random", or "" if it has none.
    """

    def __init__(self, name: str, weights: str = "") -> None:
        self.name = name
        self.weights = weights

    @property
    def has_quality(self) -> bool:
        """Whether its pictures mean anything."""
        return self.weights != "random"

    @abstractmethod
    def prepare(self, lr: Image8) -> Any:  # noqa: ANN401
        """Bring (h, w, 3) to where and how it is computed."""

    @abstractmethod
    def forward(self, prepared: Any) -> Any:  # noqa: ANN401
        """Upscale; what the clock runs for."""

    @abstractmethod
    def finish(self, raw: Any) -> Outcome:  # noqa: ANN401
        """Bring the result back as a picture."""

    def dense(self, prepared: Any) -> Any:  # noqa: ANN401
        """The same with nothing spared, to count what was."""
        return self.forward(prepared)


class Resampler(Contender):
    """Bicubic (MATLAB's) or Lanczos (Pillow's)."""

    def __init__(
        self, name: str, scale: int, enlarge: Callable[[Image8, int, int], Image8]
    ) -> None:
        super().__init__(name)
        self._scale, self._enlarge = scale, enlarge

    def prepare(self, lr: Image8) -> Image8:
        """Nothing to do."""
        return lr

    def forward(self, prepared: Image8) -> Image8:
        """Resample."""
        height, width = prepared.shape[:2]
        return self._enlarge(prepared, height * self._scale, width * self._scale)

    def finish(self, raw: Image8) -> Outcome:
        """It is a picture already."""
        return Outcome(raw)


class Network(Contender):
    """A network in one of its ways.

    Args:
        name: As in the tables.
        network: It, loaded or with random weights.
        run: What is timed: LR (1, 3, h, w) in, output out.
        dense: Likewise with nothing spared.
    """

    def __init__(
        self,
        name: str,
        network: LoadedNetwork,
        run: Callable[[Tensor], SROutput],
        dense: Callable[[Tensor], SROutput],
    ) -> None:
        super().__init__(name, network.fingerprint)
        self._network, self._run, self._dense = network, run, dense

    def prepare(self, lr: Image8) -> Tensor:
        """To (1, 3, h, w) in [0, 1] on the device."""
        image = torch.as_tensor(np.ascontiguousarray(lr)).permute(2, 0, 1)[None].float() / 255.0
        return image.to(self._network.device).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward(self, prepared: Tensor) -> SROutput:
        """Run it."""
        return self._run(prepared)

    @torch.inference_mode()
    def dense(self, prepared: Tensor) -> SROutput:
        """Run it with nothing spared."""
        return self._dense(prepared)

    def finish(self, raw: SROutput) -> Outcome:
        """Clamp, round, bring to the CPU."""
        image = (raw.image[0].float().clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
        pure = None if raw.pure is None else raw.pure.mask[0, 0].cpu().numpy()
        return Outcome(image.permute(1, 2, 0).cpu().numpy(), raw.layers, pure)


class EndToEnd(Contender):
    """From the LR file to the SR file: decoding, tiles and encoding included.

    Args:
        name: As in the tables.
        upscaler: What `srcli upscale` would use.
        folder: For the two files; they are written as PNG.
    """

    def __init__(self, name: str, upscaler: Upscaler, folder: Path) -> None:
        super().__init__(name, upscaler.network.fingerprint)
        self._upscaler, self._folder = upscaler, folder

    def prepare(self, lr: Image8) -> Path:
        """Write the LR file."""
        path = self._folder / "lr.png"
        Image.fromarray(lr).save(path)
        return path

    def forward(self, prepared: Path) -> Path:
        """Read, upscale, write."""
        picture = read_picture(prepared)
        upscaled = replace(picture, pixels=self._upscaler(picture.pixels))
        path = self._folder / "sr.png"
        write_picture(upscaled, path)
        return path

    def finish(self, raw: Path) -> Outcome:
        """Read what was written."""
        return Outcome(read_rgb(raw))


def _lanczos(lr: Image8, height: int, width: int) -> Image8:
    return np.asarray(Image.fromarray(lr).resize((width, height), Image.Resampling.LANCZOS))


_RESAMPLERS: dict[str, Callable[[Image8, int, int], Image8]] = {
    "bicubic": resize,
    "lanczos": _lanczos,
}


@dataclass(frozen=True)
class Setup:
    """Where and how networks run.

    Args:
        scale: SR px per LR px to a side.
        device: Where.
        dtype: In which precision.
        efforts: The efforts of each network that has them.
        random: Untrained parameters instead of weights.
        plain: For networks that have them, also the reference forward and the convolutions
            alone.
        end_to_end: A folder for files, to measure networks from file to file as well.
    """

    scale: int
    device: torch.device
    dtype: torch.dtype
    efforts: Sequence[str]
    random: bool = False
    plain: bool = False
    end_to_end: Path | None = None


def contenders_named(names: Sequence[str], setup: Setup) -> list[Contender]:
    """Make what is measured, in the order asked for.

    Raises:
        UsageError: A name or effort does not exist, or not for that scale.
    """
    if setup.random and setup.end_to_end is not None:
        raise UsageError("--end-to-end makes pictures, which random weights cannot: leave one out")
    made: list[Contender] = []
    for name in names:
        if name in _RESAMPLERS:
            made.append(Resampler(name, setup.scale, _RESAMPLERS[name]))
        elif network_of(name) in model_names():
            made.extend(_ways(name, setup))
        else:
            have = ", ".join([*_RESAMPLERS, *model_names()])
            raise UsageError(f"no model named {name!r} (have {have})")
    return made


def _ways(name: str, setup: Setup) -> list[Contender]:
    """A network at each effort asked for, and in its plain ways."""
    network = _network(name, setup)
    efforts = model_spec(network_of(name)).efforts
    chosen = [effort for effort in setup.efforts if effort in efforts]
    if not chosen:
        raise UsageError(
            f"{name} has no effort {', '.join(setup.efforts)} (have {', '.join(efforts)})"
        )

    def at(halting: Halting) -> Callable[[Tensor], SROutput]:
        return lambda lr: _at_scale(network(lr, halting), lr, setup.scale)

    exact = at(efforts["exact"])
    title = name if network.scale == setup.scale else f"{name} x{network.scale} reduced"
    labels = {effort: title if len(efforts) == 1 else f"{title} {effort}" for effort in chosen}
    made: list[Contender] = [
        Network(labels[effort], network, at(efforts[effort]), exact) for effort in chosen
    ]
    if setup.plain and network.scale == setup.scale and (ways := network.module.plain_ways()):
        made += [Network(f"{name} {way}", network, run, run) for way, run in ways.items()]
    if setup.end_to_end is not None:
        made += [
            EndToEnd(f"{labels[effort]}, files", _upscaler(name, effort, setup), setup.end_to_end)
            for effort in chosen
        ]
    return made


def _at_scale(output: SROutput, lr: Tensor, scale: int) -> SROutput:
    """What the upscaler makes of a network's result if that is larger than asked for."""
    height, width = lr.shape[2] * scale, lr.shape[3] * scale
    if output.image.shape[2:] == (height, width):
        return output
    return replace(output, image=reduce_planes(output.image[0], height, width)[None])


def _upscaler(name: str, effort: str, setup: Setup) -> Upscaler:
    precision = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
    return Upscaler(name, setup.scale, str(setup.device), precision[setup.dtype], effort=effort)


def _network(name: str, setup: Setup) -> LoadedNetwork:
    """Load a network, of a larger scale if there is none of this; or make one at random."""
    spec = model_spec(network_of(name))
    if setup.random:
        if setup.scale not in spec.scales:
            have = ", ".join(map(str, spec.scales))
            raise UsageError(f"{name} has no scale {setup.scale} (have {have})")
        return LoadedNetwork.untrained(spec, setup.scale, setup.device, setup.dtype)
    return LoadedNetwork(best_scale(name, setup.scale), setup.device, setup.dtype)
