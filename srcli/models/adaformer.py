"""AdaFormer: a convolutional encoder and decoder around adaptive sparse attention.

Luo, Ai, Liang, Liu, Xie, Qu, Fu: "AdaFormer: Efficient Transformer with Adaptive Token
Sparsification for Image Super-resolution", AAAI 2024.

The image's features pass through L texture-relevant sparse attention blocks (TSAB). After each
block a shared estimator says how well every token is restored; the confidences add up, and a
window or token whose sum reaches 1 - ε_h halts: the blocks after it no longer compute it.

There are two ways through a network: `forward` computes only what is live; `reference` computes
everything and masks, plainly, in the order of the equations. They give the same result. Where the
network departs from the paper, docs/adaformer.md says so. The network as its authors published it
differs in what a halted token gets (`AdaFormerConfig.halted`): see adaformer_published.py.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.defaults import HALT_EPS, SMOOTH
from srcli.models.adaformer_config import AdaFormerConfig
from srcli.models.adaformer_stacks import RANGES, SHORT_WAYS, AdaFormerStacks
from srcli.models.layers.confidence import (
    ConfidenceEstimator,
    estimator_after,
    make_estimators,
)
from srcli.models.layers.convolutions import ResidualBlock
from srcli.models.layers.halting_masks import halted_by, masks_in_a_run
from srcli.models.layers.masked import masked_layers
from srcli.models.layers.sparse import TokenBand, chunk_of_windows, sparse_layer, watched
from srcli.models.layers.tsab import TSAB
from srcli.models.layers.windows import WindowGrid, extend_by_reflection
from srcli.models.spec import (
    EXACT,
    AttendedBand,
    Halting,
    LayerTrace,
    MemoryProfile,
    ModelSpec,
    SROutput,
)

__all__ = ["RANGES", "SHORT_WAYS", "SPEC", "AdaFormer", "AdaFormerConfig"]

_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


class AdaFormer(AdaFormerStacks):
    """Encoder, adaptive token sparsification module, decoder, upsampler (AdaFormer, Fig. 2)."""

    mean: Tensor

    def __init__(self, config: AdaFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = config.scale
        self.encoder_halo = self.decoder_halo = 1 + 2 * config.residual_blocks
        band = self.band = config.region * config.window
        self.attends_beyond = (band - 1, config.layers * (band + 1) - 2) if band else None
        c, d, blocks = config.channels, config.dim, config.residual_blocks
        self.register_buffer("mean", torch.tensor(_DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.head = nn.Conv2d(3, c, 3, padding=1)
        self.encoder = nn.Sequential(*(ResidualBlock(c) for _ in range(blocks)))
        self.embed = nn.Conv2d(c, d, 1)
        self.blocks = nn.ModuleList(
            TSAB(
                dim=d,
                heads=config.heads,
                window=config.window,
                prototypes=config.prototypes,
                ratio=config.mlp_ratio,
                halted=config.halted,
                projected=config.projected,
                shared_query=config.shared_query,
            )
            for _ in range(config.layers)
        )
        self.layer_outputs = nn.ModuleList(nn.Identity() for _ in range(config.layers))  # to watch
        self.confidence = make_estimators(
            d, config.confidence_channels, None if config.shared_estimator else config.layers
        )
        self.unembed = nn.Conv2d(d, c, 1)
        self.decoder = nn.Sequential(*(ResidualBlock(c) for _ in range(blocks)))
        self.tail = nn.Conv2d(c, 3 * config.scale**2, 3, padding=1)

    def prepared(self) -> Self:
        """See `SRNetwork`."""
        for block in self._tsabs():
            block.prepare()
        return self

    def progress_modules(self) -> Mapping[nn.Module, int]:
        """The residual blocks, and what every band passes after a layer, whatever has halted."""
        return dict.fromkeys((*self.encoder, *self.layer_outputs, *self.decoder), 1)

    def band_progress_modules(self) -> Collection[nn.Module]:
        """See `BandedNetwork`."""
        return tuple(self.layer_outputs)

    def compilable(self) -> Iterable[nn.Module]:
        """Encoder, decoder and each block; what packs tokens between them stays as it is."""
        return (self.encoder, *self.blocks, self.decoder)

    def estimator_after(self, layer: int) -> ConfidenceEstimator:
        """The confidence estimator that follows a layer, counted from 1."""
        return estimator_after(self.confidence, layer)

    def extend(self, lr: Tensor) -> Tensor:
        """Extend (b, 3, h, w) right and down, mirrored, to whole windows."""
        return extend_by_reflection(lr, self.config.window)

    def encode(self, lr: Tensor) -> Tensor:
        """Features (b, c, h, w) of an extended image (AdaFormer, Eq. 1)."""
        return self.encoder(self._shallow(lr).to(self.embed.weight.dtype))

    def encode_short(self, lr: Tensor, short: Tensor | None) -> Tensor:
        """See `BandedNetwork`."""
        if short is None:
            return self.encode(lr)
        return self.through("encoder", self._shallow(lr).to(self.embed.weight.dtype), short)

    def attend(
        self, bands: Iterable[Tensor], halting: Halting, chunk: int | None = None
    ) -> Iterator[AttendedBand]:
        """The adaptive token sparsification module, on features in bands (AdaFormer, Eqs. 5 to 7).

        Bands may be large or small: the result is the same. Layers follow each other at the
        distance of a band, so that no more than about two bands a layer are held at a time.
        """
        return self.attend_short(bands, halting, None, chunk)

    def attend_short(
        self,
        bands: Iterable[Tensor],
        halting: Halting,
        short: Tensor | None,
        chunk: int | None = None,
    ) -> Iterator[AttendedBand]:
        """See `BandedNetwork`; `chunk` as in `attend`."""
        masks = masks_in_a_run(self.config.masks, halting)
        stream = self._token_bands(bands, masks, short)
        last = len(self.blocks)
        limit = chunk or chunk_of_windows(self.embed.weight.device)
        for number, block in enumerate(self._tsabs(), start=1):
            steers = halting.eps is not None and number < last and masks != "none"
            estimator = self.estimator_after(number) if steers or halting.observe else None
            stream = sparse_layer(block, estimator, stream, halting.threshold, limit)
            stream = watched(stream, self.layer_outputs[number - 1])
        for band in stream:
            change = F.linear(band.tokens, self.unembed.weight.flatten(1), self.unembed.bias)
            yield AttendedBand(band.features + band.grid.merge(change), band.traces)

    def decode(self, features: Tensor, lr: Tensor) -> Tensor:
        """The image (b, 3, s·h, s·w) from features and the same part of the extended image."""
        return self._image(self.decoder(features), lr)

    def decode_short(self, features: Tensor, lr: Tensor, short: Tensor | None) -> Tensor:
        """See `BandedNetwork`."""
        if short is None:
            return self.decode(features, lr)
        return self._image(self.through("decoder", features, short), lr)

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), computing only live windows and tokens."""
        wide = self.extend(lr)
        short = self.short_windows(wide, halting)
        (band,) = self.attend_short([self.encode_short(wide, short)], halting, short)
        image = self.decode_short(band.features, wide, short)
        return SROutput(self._cropped(image, lr), band.layers)

    def reference(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), computing everything and masking: slow, plain and the same."""
        wide = self.extend(lr)
        short = self.short_windows(wide, halting)
        features = self._shallow(wide).to(self.embed.weight.dtype)
        features = self.through("encoder", features, short, plain=True)  # Eq. 1
        grid = WindowGrid.of(features, self.config.window)
        limit, masks = halting.threshold, masks_in_a_run(self.config.masks, halting)
        tokens, traces = self.masked_layers(
            grid.split(self.embed(features)),
            grid,
            lambda _, score: halted_by(score, limit, masks),
            None if short is None else short.flatten(),
        )
        features = features + self.unembed(grid.merge(tokens))  # Eq. 7
        image = self._image(self.through("decoder", features, short, plain=True), wide)
        return SROutput(self._cropped(image, lr), traces)

    def convolutions(self, lr: Tensor) -> SROutput:
        """The network's convolutions alone, without attention: a floor for its time."""
        features = self.encode(wide := self.extend(lr))
        image = self.decode(features + self.unembed(self.embed(features)), wide)
        return SROutput(self._cropped(image, lr))

    def baselines(self) -> Mapping[str, Callable[[Tensor], SROutput]]:
        """The masked reference, and the convolutions alone."""
        return {"reference": self.reference, "convolutions": self.convolutions}

    def _shallow(self, lr: Tensor) -> Tensor:
        return self.head(lr - self.mean)

    def _image(self, decoded: Tensor, lr: Tensor) -> Tensor:
        """The image (b, 3, s·h, s·w) from the decoder's features (AdaFormer, Eqs. 3 and 4)."""
        shallow = self._shallow(lr)
        decoded = decoded.to(shallow.dtype) + shallow  # Eq. 3
        return F.pixel_shuffle(self.tail(decoded), self.scale) + self.mean  # Eq. 4

    def _cropped(self, image: Tensor, lr: Tensor) -> Tensor:
        return image[..., : lr.shape[2] * self.scale, : lr.shape[3] * self.scale]

    def _tsabs(self) -> list[TSAB]:
        return cast("list[TSAB]", list(self.blocks))

    def _token_bands(
        self, bands: Iterable[Tensor], masks: str, short: Tensor | None
    ) -> Iterator[TokenBand]:
        top = 0  # windows above the band
        for features in bands:
            grid = WindowGrid.of(features, self.config.window)
            mine = None if short is None else short[:, top : top + grid.rows].flatten()
            top += grid.rows
            tokens = F.linear(
                grid.split(features), self.embed.weight.flatten(1), self.embed.bias
            )  # Eq. 5
            yield TokenBand(features, tokens, grid, self.config.region, masks, mine)

    def masked_layers(
        self,
        tokens: Tensor,
        grid: WindowGrid,
        exits: Callable[[int, Tensor], tuple[Tensor, Tensor]],
        short: Tensor | None = None,
    ) -> tuple[Tensor, tuple[LayerTrace, ...]]:
        """Compute all TSABs over tokens (n, t, c) everywhere, and mask; see layers/masked.py."""
        return masked_layers(
            self._tsabs(), self.estimator_after, tokens, (grid, self.config.region), exits, short
        )


def _build(scale: int) -> AdaFormer:
    return AdaFormer(AdaFormerConfig(scale=scale))


SPEC = ModelSpec(
    name="adaformer",
    paper="AdaFormer (AAAI 2024)",
    scales=(2, 3, 4),
    alignment=32,
    overlap=32,
    memory=MemoryProfile(forward=3150, tile=1600, held=640, attending=2560, bands_held=8),
    efforts={"exact": EXACT, **{e: Halting(eps, smooth=SMOOTH) for e, eps in HALT_EPS.items()}},
    build=_build,
)
