"""AdaFormer: a convolutional encoder and decoder around adaptive sparse attention.

Luo, Ai, Liang, Liu, Xie, Qu, Fu: "AdaFormer: Efficient Transformer with Adaptive Token
Sparsification for Image Super-resolution", AAAI 2024.

The picture's features pass through L texture-relevant sparse attention blocks (TSAB). After each
block a shared estimator says how well every token is restored; the confidences add up, and a
window or token whose sum reaches 1 - ε_h halts: the blocks after it no longer compute it.

There are two ways through a network: `forward` computes only what is live; `reference` computes
everything and masks, line by line as the paper writes it. They give the same result.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.attention import LocalAttention, PrototypeAttention
from srcli.models.layers.confidence import ConfidenceEstimator
from srcli.models.layers.packing import ActiveTokens, pack
from srcli.models.layers.residual import ResidualBlock
from srcli.models.layers.windows import WindowGrid, extend_by_reflection
from srcli.models.spec import EXACT, Halting, LayerTrace, ModelSpec, SRNetwork, SROutput

__all__ = ["SPEC", "AdaFormer", "AdaFormerConfig"]

_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


@dataclass(frozen=True)
class AdaFormerConfig:
    """The paper's configuration, and what it leaves open.

    Args:
        scale: SR px per LR px to a side.
        channels: Feature channels C of encoder and decoder.
        dim: Token width D.
        residual_blocks: Residual blocks in the encoder, and again in the decoder.
        layers: TSABs L.
        heads: Attention heads in both branches.
        window: Side S of a window, LR px.
        prototypes: Prototypes M of the global branch.
        mlp_ratio: Width of the MLP's middle, in D.
        confidence_channels: Width of the confidence estimator's middle.
        region: Side of the global branch's region, in windows; 0 is the whole picture.
    """

    scale: int
    channels: int = 64
    dim: int = 64
    residual_blocks: int = 8
    layers: int = 6
    heads: int = 4
    window: int = 8
    prototypes: int = 16
    mlp_ratio: int = 2
    confidence_channels: int = 32
    region: int = 4


class MLP(nn.Module):
    """Linear, GELU, linear on each token."""

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, ratio * dim)
        self.fc2 = nn.Linear(ratio * dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (..., c) to (..., c)."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class TSAB(nn.Module):
    """Texture-relevant sparse attention block (AdaFormer, Eqs. 8 to 14 and 20 to 24).

    The paper's Eq. 14 has no skip connections; trained networks of this kind need them, so both
    the attention and the MLP add to their input. A token that has halted in one branch gets the
    other branch and the MLP; one that has halted in both is left as it is.
    """

    def __init__(self, config: AdaFormerConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim)
        self.local_branch = LocalAttention(config.dim, config.heads, config.window)
        self.global_branch = PrototypeAttention(config.dim, config.heads, config.prototypes)
        self.proj = nn.Linear(config.dim, config.dim)
        self.norm2 = nn.LayerNorm(config.dim)
        self.mlp = MLP(config.dim, config.mlp_ratio)

    def forward(self, tokens: Tensor, active: ActiveTokens, regions: int) -> Tensor:
        """Update the active of all tokens (n, t, c), in window order; the others stay."""
        x = active.gather(tokens)  # (blocks, t, c), live windows first
        y = self.norm1(x)
        mixed = self.global_branch(y, active.exchanging, active.region, regions)
        live = len(active.windows)
        mixed[:live] += self.local_branch(y[:live])
        x = x + self.proj(mixed)
        x = x + self.mlp(self.norm2(x))
        return active.scatter(x, tokens)

    def reference(
        self,
        tokens: Tensor,
        local_halted: Tensor,
        global_halted: Tensor,
        region: Tensor,
        regions: int,
    ) -> Tensor:
        """The same, computed everywhere and masked.

        Args:
            tokens: (n, t, c) in window order.
            local_halted: (n,) bool.
            global_halted: (n, t) bool.
            region: (n,) int64, the region of each window.
            regions: Number of regions.
        """
        y = self.norm1(tokens)
        mixed = self.local_branch.reference(y) * ~local_halted[:, None, None]
        for number in range(regions):
            mine = region == number
            whole = y[mine].flatten(0, 1)[None]  # (1, tokens of the region, c)
            live = ~global_halted[mine].flatten()[None]
            mixed[mine] += self.global_branch.reference(whole, live).view_as(y[mine])
        z = tokens + self.proj(mixed)
        z = z + self.mlp(self.norm2(z))
        frozen = local_halted[:, None] & global_halted
        return torch.where(frozen[..., None], tokens, z)


class AdaFormer(SRNetwork):
    """Encoder, adaptive token sparsification module, decoder, upsampler (AdaFormer, Fig. 2)."""

    mean: Tensor

    def __init__(self, config: AdaFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = config.scale
        c, d, blocks = config.channels, config.dim, config.residual_blocks
        self.register_buffer("mean", torch.tensor(_DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.head = nn.Conv2d(3, c, 3, padding=1)
        self.encoder = nn.Sequential(*(ResidualBlock(c) for _ in range(blocks)))
        self.embed = nn.Conv2d(c, d, 1)
        self.blocks = nn.ModuleList(TSAB(config) for _ in range(config.layers))
        self.confidence = ConfidenceEstimator(d, config.confidence_channels)
        self.unembed = nn.Conv2d(d, c, 1)
        self.decoder = nn.Sequential(*(ResidualBlock(c) for _ in range(blocks)))
        self.tail = nn.Conv2d(c, 3 * config.scale**2, 3, padding=1)

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute everything but `head` and `tail` in `dtype`."""
        for part in (self.encoder, self.embed, self.blocks, self.confidence, self.unembed):
            part.to(dtype)
        self.decoder.to(dtype)

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), computing only live windows and tokens."""
        return self._run(lr, halting, self._sparse_layers)

    def reference(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w), computing everything and masking: slow, plain and the same."""
        return self._run(lr, halting, self._masked_layers)

    def convolutions(self, lr: Tensor) -> SROutput:
        """The network's convolutions alone, without attention: a floor for its time."""
        shallow = self.head(extend_by_reflection(lr, self.config.window) - self.mean)
        features = self.encoder(shallow.to(self.embed.weight.dtype))
        features = features + self.unembed(self.embed(features))
        features = self.decoder(features).to(shallow.dtype) + shallow
        image = F.pixel_shuffle(self.tail(features), self.scale) + self.mean
        return SROutput(image[..., : lr.shape[2] * self.scale, : lr.shape[3] * self.scale])

    def plain_ways(self) -> Mapping[str, Callable[[Tensor], SROutput]]:
        """The masked reference, and the convolutions alone."""
        return {"reference": self.reference, "convolutions": self.convolutions}

    def _run(self, lr: Tensor, halting: Halting, layers: "_Layers") -> SROutput:
        """The whole way, with `layers` as the adaptive token sparsification module."""
        height, width = lr.shape[2] * self.scale, lr.shape[3] * self.scale
        shallow = self.head(extend_by_reflection(lr, self.config.window) - self.mean)
        features = self.encoder(shallow.to(self.embed.weight.dtype))  # Eq. 1
        grid = WindowGrid.of(features, self.config.window)
        tokens, traces = layers(grid.split(self.embed(features)), grid, halting)  # Eqs. 5, 6
        features = features + self.unembed(grid.merge(tokens))  # Eq. 7
        features = self.decoder(features).to(shallow.dtype) + shallow  # Eq. 3
        image = F.pixel_shuffle(self.tail(features), self.scale) + self.mean  # Eq. 4
        return SROutput(image[..., :height, :width], traces)

    def _tsabs(self) -> list[TSAB]:
        return cast("list[TSAB]", list(self.blocks))

    def _sparse_layers(
        self, tokens: Tensor, grid: WindowGrid, halting: Halting
    ) -> tuple[Tensor, tuple[LayerTrace, ...]]:
        """All TSABs over tokens (n, t, c), each computing only what is live."""
        region, regions = grid.regions(self.config.region, tokens.device)
        score = tokens.new_zeros(tokens.shape[:2], dtype=torch.float32)
        confidence: Tensor | None = None
        traces: list[LayerTrace] = []
        for number, block in enumerate(self._tsabs(), start=1):
            local_halted = score.mean(1) >= halting.threshold  # Eq. 19
            global_halted = score >= halting.threshold  # Eq. 22
            active = pack(local_halted, global_halted, region, regions)
            tokens = block(tokens, active, regions)
            steers = halting.eps is not None and number < len(self.blocks)
            if steers or halting.observe:
                confidence = self._estimate(tokens, grid, active, confidence)
                score = score + confidence  # Eq. 18
            traces.append(_trace(grid, confidence, local_halted, global_halted))
        return tokens, tuple(traces)

    def _estimate(
        self, tokens: Tensor, grid: WindowGrid, active: ActiveTokens, last: Tensor | None
    ) -> Tensor:
        """Confidence (n, t) of every token; windows without active tokens keep the last one."""
        image = grid.merge(tokens)
        touched = active.touched_windows(*tokens.shape[:2])
        if last is None or len(touched) > _DENSE_SHARE * len(tokens):
            fresh = grid.split(self.confidence(image)).squeeze(2)
            if last is None:
                return fresh
            return last.index_copy(0, touched, fresh[touched])
        return last.index_copy(0, touched, self.confidence.on_windows(image, grid, touched))

    def _masked_layers(
        self, tokens: Tensor, grid: WindowGrid, halting: Halting
    ) -> tuple[Tensor, tuple[LayerTrace, ...]]:
        """All TSABs over tokens (n, t, c), computed everywhere and masked."""
        region, regions = grid.regions(self.config.region, tokens.device)
        score = tokens.new_zeros(tokens.shape[:2], dtype=torch.float32)
        traces: list[LayerTrace] = []
        for block in self._tsabs():
            local_halted = score.mean(1) >= halting.threshold
            global_halted = score >= halting.threshold
            tokens = block.reference(tokens, local_halted, global_halted, region, regions)
            confidence = grid.split(self.confidence(grid.merge(tokens))).squeeze(2)
            score = score + confidence
            traces.append(_trace(grid, confidence, local_halted, global_halted))
        return tokens, tuple(traces)


# Above this share of windows, one convolution over the whole map beats one per neighbourhood.
_DENSE_SHARE = 0.6

_Layers = Callable[[Tensor, WindowGrid, Halting], tuple[Tensor, tuple[LayerTrace, ...]]]


def _trace(
    grid: WindowGrid, confidence: Tensor | None, local_halted: Tensor, global_halted: Tensor
) -> LayerTrace:
    """Bring what a layer did from window order to image order."""
    return LayerTrace(
        confidence_map=None if confidence is None else grid.merge(confidence[..., None]),
        local_mask=local_halted.view(grid.batch, 1, grid.rows, grid.columns),
        global_mask=grid.merge(global_halted[..., None]),
    )


def _build(scale: int) -> AdaFormer:
    return AdaFormer(AdaFormerConfig(scale=scale))


SPEC = ModelSpec(
    name="adaformer",
    paper="AdaFormer (AAAI 2024)",
    scales=(2, 3, 4),
    alignment=32,
    overlap=32,
    bytes_per_pixel=3150,
    efforts={"exact": EXACT, "balanced": Halting(eps=0.05), "fast": Halting(eps=0.9)},
    build=_build,
)
