"""Methods to measure: networks at an effort, and plain resampling for comparison."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from srcli.benchmark.savings import Without
from srcli.data.degradation import Degrader
from srcli.data.images import read_rgb
from srcli.inference.network import LoadedNetwork
from srcli.inference.upscaler import Upscaler
from srcli.media import Pixels, read_image, write_image
from srcli.models.spec import LayerTrace, SROutput

__all__ = ["EndToEnd", "Image8", "Method", "MethodOutput", "Network", "OfDegraded", "Resampler"]

Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class MethodOutput:
    """A result, and what was spared on the way.

    Args:
        image: SR (s·h, s·w, 3) uint8.
        layers: What halted before each layer.
        pure: (h, w) bool, True = pure, of the LR image extended to whole windows.
    """

    image: Image8
    layers: tuple[LayerTrace, ...] = ()
    pure: NDArray[np.bool_] | None = None


class Method(ABC):
    """Something that upscales. Only `forward` is timed.

    Args:
        name: As in the tables.
        weights: sha256 of the weights, "random", or "" if it has none.
        switched_off: The saving that it does without, if that is what it is for.
    """

    precision = ""
    """In which a network is computed, by the names of `--precision`; "" for what is none."""

    def __init__(self, name: str, weights: str = "", switched_off: Without | None = None) -> None:
        self.name = name
        self.weights = weights
        self.switched_off = switched_off

    @property
    def has_quality(self) -> bool:
        """True if its images mean anything."""
        return self.weights != "random"

    @abstractmethod
    def prepare(self, lr: Image8) -> Any:  # noqa: ANN401
        """Bring (h, w, 3) to where and how it is computed."""

    @abstractmethod
    def forward(self, prepared: Any) -> Any:  # noqa: ANN401
        """Upscale; what the clock runs for."""

    @abstractmethod
    def finish(self, raw: Any) -> MethodOutput:  # noqa: ANN401
        """Bring the result back as an image."""

    def dense(self, prepared: Any) -> Any:  # noqa: ANN401
        """Run with nothing spared, to count the dense operations."""
        return self.forward(prepared)


class Resampler(Method):
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

    def finish(self, raw: Image8) -> MethodOutput:
        """It is an image already."""
        return MethodOutput(raw)


class Network(Method):
    """A network in one of its ways.

    Args:
        name: As in the tables.
        network: It, loaded or with random weights.
        run: What is timed: LR (1, 3, h, w) in, output out.
        dense: Likewise with nothing spared.
        switched_off: See `Method`.
    """

    def __init__(
        self,
        name: str,
        network: LoadedNetwork,
        run: Callable[[Tensor], SROutput],
        dense: Callable[[Tensor], SROutput],
        switched_off: Without | None = None,
    ) -> None:
        super().__init__(name, network.fingerprint, switched_off)
        self._network, self._run, self._dense = network, run, dense
        self.precision = network.precision

    def prepare(self, lr: Image8) -> Tensor:
        """To (1, 3, h, w) in [0, 1] on the device."""
        image = torch.tensor(lr).permute(2, 0, 1)[None].float() / 255.0
        return image.to(self._network.device).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward(self, prepared: Tensor) -> SROutput:
        """Run it."""
        return self._run(prepared)

    @torch.inference_mode()
    def dense(self, prepared: Tensor) -> SROutput:
        """Run it with nothing spared."""
        return self._dense(prepared)

    def finish(self, raw: SROutput) -> MethodOutput:
        """Clamp, round, bring to the CPU."""
        image = (raw.image[0].float().clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
        pure = None if raw.pure is None else raw.pure.mask[0, 0].cpu().numpy()
        return MethodOutput(image.permute(1, 2, 0).cpu().numpy(), raw.layers, pure)


class OfDegraded(Method):
    """Another method on a degraded LR image, under a name that says so."""

    def __init__(self, method: Method, degrader: Degrader) -> None:
        off = method.switched_off
        if off is not None:
            off = replace(off, full=f"{off.full}, {degrader.name}")
        super().__init__(f"{method.name}, {degrader.name}", method.weights, off)
        self._method, self._degrader = method, degrader
        self.precision = method.precision

    def prepare(self, lr: Image8) -> Any:  # noqa: ANN401
        """Degrade it first."""
        return self._method.prepare(self._degrader(lr))

    def forward(self, prepared: Any) -> Any:  # noqa: ANN401
        """As the method does."""
        return self._method.forward(prepared)

    def finish(self, raw: Any) -> MethodOutput:  # noqa: ANN401
        """As the method does."""
        return self._method.finish(raw)

    def dense(self, prepared: Any) -> Any:  # noqa: ANN401
        """As the method does."""
        return self._method.dense(prepared)


class EndToEnd(Method):
    """From the LR file to the SR file: decoding, tiles and encoding included.

    Args:
        name: As in the tables.
        upscaler: What `srcli upscale` would use.
        exact: The same with nothing spared.
        folder: For the two files; they are written as PNG.
    """

    def __init__(self, name: str, upscaler: Upscaler, exact: Upscaler, folder: Path) -> None:
        super().__init__(name, upscaler.network.fingerprint)
        self._upscaler, self._exact, self._folder = upscaler, exact, folder
        self.precision = upscaler.network.precision

    def prepare(self, lr: Image8) -> Path:
        """Write the LR file."""
        path = self._folder / "lr.png"
        Image.fromarray(lr).save(path)
        return path

    def forward(self, prepared: Path) -> Path:
        """Read, upscale, write."""
        picture = read_image(prepared)
        upscaled = replace(picture, pixels=self._upscaler(picture.pixels))
        path = self._folder / "sr.png"
        write_image(upscaled, path)
        return path

    def dense(self, prepared: Path) -> Pixels:
        """Read, and upscale with nothing spared; files cost no operations that are counted."""
        return self._exact(read_image(prepared).pixels)

    def finish(self, raw: Path) -> MethodOutput:
        """Read what was written."""
        return MethodOutput(read_rgb(raw))
