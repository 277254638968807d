"""ELAN-light: attention in windows of three sizes, whose matrices serve twice.

Zhang, Zeng, Guo, Zhang: "Efficient Long-Range Attention Network for Image Super-Resolution",
ECCV 2022.

Features are kept as (b, h, w, c): a 1x1 convolution is then a matrix product of all pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.convolutions import in_full
from srcli.models.layers.pixel_projections import NormedProjection, of_each_pixel, shift_by_one
from srcli.models.layers.windows import WindowGrid, extend_by_reflection
from srcli.models.spec import EXACT, Halting, MemoryProfile, ModelSpec, SRNetwork, SROutput

__all__ = ["SPEC", "ELANConfig", "ELANLight", "from_authors"]

_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
_RANGE = 255.0  # of the pixels that the parameters are for


@dataclass(frozen=True)
class ELANConfig:
    """The published light configuration.

    Args:
        scale: SR px per LR px to a side.
        dim: Feature channels c.
        blocks: Blocks of two stages that share their attention matrices.
        ratio: Width of the middle between two shift-convolutions, in c.
        windows: Sides of the windows, LR px: one for each equal part of the channels. Every second
            block shifts by half of them.
    """

    scale: int
    dim: int = 60
    blocks: int = 12
    ratio: int = 2
    windows: tuple[int, ...] = (4, 8, 16)


class LocalFeatures(nn.Module):
    """Two shift-convolutions with a ReLU between them (ELAN, Sec. 3.2)."""

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(dim, ratio * dim, 1)
        self.reduce = nn.Conv2d(ratio * dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, h, w, c) to (b, h, w, c)."""
        middle = torch.relu_(of_each_pixel(self.expand, shift_by_one(x)))
        return of_each_pixel(self.reduce, shift_by_one(middle))


class GroupAttention(nn.Module):
    """Attention in which each part of the channels has windows of its own (ELAN, Sec. 3.3).

    Within a window `softmax(q qᵀ) v`: keys are the queries, one head, no scaling, no positions.
    Shifts wrap round, and nothing is masked.

    Args:
        config: The network.
        shifted: Whether windows are shifted by half their side.
        shares: Whether the matrices are another's: then there are values alone.
    """

    def __init__(self, config: ELANConfig, *, shifted: bool, shares: bool) -> None:
        super().__init__()
        self.windows = config.windows
        self.shifted = shifted
        self.shares = shares
        self.project = NormedProjection(config.dim, config.dim * (1 if shares else 2))
        self.out = nn.Conv2d(config.dim, config.dim, 1)

    def forward(
        self, x: Tensor, matrices: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Attend in all windows.

        Args:
            x: (b, h, w, c), sides multiples of every window.
            matrices: Those to reuse, if it shares.

        Returns:
            (b, h, w, c), and for each part of the channels the matrices (windows, t, t).
        """
        assert (matrices is not None) == self.shares, "shared matrices come from the other stage"
        parts = self.project(x).chunk(len(self.windows), -1)
        used: list[Tensor] = []
        mixed: list[Tensor] = []
        for number, (part, side) in enumerate(zip(parts, self.windows, strict=True)):
            shift = side // 2 if self.shifted else 0
            image = part.roll((-shift, -shift), (1, 2)) if shift else part
            image = image.permute(0, 3, 1, 2)
            grid = WindowGrid.of(image, side)
            values = grid.split(image)
            if matrices is None:
                queries, values = values.chunk(2, -1)
                used.append((queries @ queries.transpose(1, 2)).softmax(-1))
            else:
                used.append(matrices[number])
            result = grid.merge(used[-1] @ values).permute(0, 2, 3, 1)
            mixed.append(result.roll((shift, shift), (1, 2)) if shift else result)
        return of_each_pixel(self.out, torch.cat(mixed, -1)), used


class ELANBlock(nn.Module):
    """Two stages of local features and attention; the second uses the first's matrices again."""

    def __init__(self, config: ELANConfig, *, shifted: bool) -> None:
        super().__init__()
        self.local = nn.ModuleList(LocalFeatures(config.dim, config.ratio) for _ in range(2))
        self.attention = nn.ModuleList(
            GroupAttention(config, shifted=shifted, shares=shares) for shares in (False, True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w), with a pixel's channels side by side in memory."""
        x = x.permute(0, 2, 3, 1)
        matrices: Sequence[Tensor] | None = None
        for local, attention in zip(self.local, self.attention, strict=True):
            x = x + local(x)
            change, matrices = attention(x, matrices)
            x = x + change
        return x.permute(0, 3, 1, 2)


class ELANLight(SRNetwork):
    """Convolution, blocks, convolution and pixel shuffle (ELAN, Fig. 2)."""

    mean: Tensor

    def __init__(self, config: ELANConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = config.scale
        self.register_buffer("mean", torch.tensor(_DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)
        self.head = nn.Conv2d(3, config.dim, 3, padding=1)
        self.blocks = nn.ModuleList(
            ELANBlock(config, shifted=bool(number % 2)) for number in range(config.blocks)
        )
        self.tail = nn.Conv2d(config.dim, 3 * config.scale**2, 3, padding=1)
        self.blocks_dtype = torch.float32
        with torch.no_grad():  # features of about 1 at the start: softmaxes are steep beyond
            self.head.weight /= _RANGE
            self.tail.weight *= _RANGE

    def progress_modules(self) -> Mapping[nn.Module, int]:
        """The blocks."""
        return dict.fromkeys(self.blocks, 1)

    def lower_precision(self, dtype: torch.dtype) -> None:
        """Store and compute the blocks in `dtype`, but the normed projections' own."""
        self.blocks_dtype = dtype
        for part in self.blocks.modules():
            if isinstance(part, LocalFeatures):
                part.to(dtype)
            elif isinstance(part, GroupAttention):
                part.out.to(dtype)
                part.project.result_dtype = dtype

    def forward(self, lr: Tensor, halting: Halting = EXACT) -> SROutput:
        """Upscale (b, 3, h, w). Nothing halts here: `halting` has no effect."""
        wide = extend_by_reflection(lr, max(self.config.windows))
        shallow = in_full(self.head, (wide - self.mean) * _RANGE)
        deep = shallow.to(self.blocks_dtype)
        for block in self.blocks:
            deep = block(deep)
        features = deep.to(shallow.dtype) + shallow
        image = F.pixel_shuffle(in_full(self.tail, features), self.scale) / _RANGE + self.mean
        return SROutput(image[..., : lr.shape[2] * self.scale, : lr.shape[3] * self.scale])


# The names of the authors' state dict, and ours.
_AUTHORS_NAMES = {
    "body.": "blocks.",
    "modules_lfe.lfe_": "local.",
    "conv0.shift_conv.conv1x1.": "expand.",
    "conv1.shift_conv.conv1x1.": "reduce.",
    "modules_gmsa.gmsa_": "attention.",
    "project_inp.0.": "project.linear.",
    "project_inp.1.": "project.",
    "project_out.": "out.",
    "head.0.": "head.",
    "tail.0.": "tail.",
}
_COMPUTED_HERE = (".shift_conv.weight", ".num_batches_tracked")


def from_authors(name: str) -> str | None:
    """Our name for a parameter of the authors' state dict; None for what is fixed here.

    >>> from_authors("body.3.modules_gmsa.gmsa_1.project_inp.1.running_var")
    'blocks.3.attention.1.project.running_var'
    """
    if name.endswith(_COMPUTED_HERE) or name.startswith(("sub_mean.", "add_mean.")):
        return None
    for theirs, ours in _AUTHORS_NAMES.items():
        name = name.replace(theirs, ours)
    return name


def _build(scale: int) -> ELANLight:
    return ELANLight(ELANConfig(scale=scale))


SPEC = ModelSpec(
    name="elan-light",
    paper="ELAN (ECCV 2022)",
    scales=(2, 3, 4),
    alignment=16,
    overlap=32,
    memory=MemoryProfile(forward=6400),
    efforts={"exact": EXACT},
    build=_build,
    from_authors=from_authors,
)
