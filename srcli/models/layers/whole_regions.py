"""Both attentions over whole regions by fused kernels: for devices that launching costs most.

Packed, a block is some fifty small operations, since regions have any number of blocks. Where
everything is computed, each region is one row of an array, and prototypes and tokens exchange by
two fused attentions: the prototypes ask all tokens of a region, then every token asks them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.attention import (
    LocalAttention,
    PrototypeAttention,
    attend,
    head_multiple,
    join_heads,
)

__all__ = ["FusedAttention", "out_of_sight"]


def out_of_sight(dtype: torch.dtype) -> float:
    """Summand of a key's logits by which nobody sees it; finite, so that none gives no NaN."""
    return torch.finfo(dtype).min / 4


class FusedAttention(nn.Module):
    """The parameters of a block's branches as few large kernels take them.

    A head's d channels are padded with zeros to d' where fused kernels want that.

    Args:
        local: The local branch.
        shared: The global branch.
        projection: What follows both: a linear layer, or nothing.
    """

    qkv: Tensor
    qkv_bias: Tensor
    position_bias: Tensor
    queries: Tensor
    told: Tensor
    told_bias: Tensor
    projection: Tensor | None
    projection_bias: Tensor | None

    @torch.no_grad()
    def __init__(
        self, local: LocalAttention, shared: PrototypeAttention, projection: nn.Module
    ) -> None:
        super().__init__()
        self.heads = local.heads
        width = self.width = local.qkv.in_features // local.heads
        more = -width % head_multiple(local.qkv.weight)

        def rows(weight: Tensor) -> Tensor:
            """Pad the outputs (parts · heads · d, ...) of each head."""
            by_head = weight.view(-1, width, *weight.shape[1:])
            return F.pad(by_head, (0, 0) * (weight.dim() - 1) + (0, more)).flatten(0, 1)

        def columns(weight: Tensor) -> Tensor:
            """Pad the inputs (..., heads · d) of each head."""
            return F.pad(weight.view(len(weight), -1, width), (0, more)).flatten(1)

        follows = projection if isinstance(projection, nn.Linear) else None
        kept = {
            # (6 · heads · d', c), of the local branch, then of the global one
            "qkv": torch.cat([rows(local.qkv.weight), rows(shared.qkv.weight)]),
            "qkv_bias": torch.cat([rows(local.qkv.bias), rows(shared.qkv.bias)]),
            "position_bias": local.bias().contiguous(),  # (1, heads, t, t)
            "queries": F.pad(shared.queries(), (0, more)),  # (heads, M, d'), scaled
            # (2 · heads · d', heads · d'), what prototypes tell of what they gathered
            "told": columns(rows(shared.kv_proto.weight)),
            "told_bias": rows(shared.kv_proto.bias),
            "projection": None if follows is None else columns(follows.weight),  # (c, heads · d')
            "projection_bias": None if follows is None else follows.bias.clone(),
        }
        for name, value in kept.items():
            self.register_buffer(name, value, persistent=False)

    def both(self, y: Tensor, regions: int, key_bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Results of the local and of the global branch for tokens (n, t, c).

        Args:
            y: Windows region by region, each region of as many.
            regions: Number of regions.
            key_bias: (regions, 1, 1, T), added to the logits by which prototypes ask the T tokens
                of a region; None: they ask all.

        Returns:
            (n, t, heads · d') each.
        """
        n, t, _ = y.shape
        packed = F.linear(y, self.qkv, self.qkv_bias)
        own = packed.view(n, t, 6, self.heads, -1)
        q, k, v = (own[:, :, part].transpose(1, 2) for part in range(3))  # (n, heads, t, d')
        scale = self.width**-0.5
        local = join_heads(attend(q, k, v, bias=self.position_bias, scale=scale))
        whole = packed.view(regions, -1, 6, self.heads, own.shape[-1])
        q, k, v = (whole[:, :, part].transpose(1, 2) for part in range(3, 6))
        asking = self.queries.expand(regions, -1, -1, -1)
        gathered = attend(asking, k, v, bias=key_bias, scale=1.0)  # (regions, heads, M, d')
        told = F.linear(join_heads(gathered), self.told, self.told_bias)
        told = told.view(regions, -1, 2, self.heads, own.shape[-1])
        k, v = (told[:, :, part].transpose(1, 2) for part in range(2))
        return local, join_heads(attend(q, k, v, scale=scale)).view(n, t, -1)

    def project(self, mixed: Tensor) -> Tensor:
        """Map what the branches gave, (n, t, heads · d'), to tokens (n, t, c)."""
        if self.projection is None:
            return self.plain(mixed)
        return F.linear(mixed, self.projection, self.projection_bias)

    def plain(self, mixed: Tensor) -> Tensor:
        """Take the padding of heads out of (n, t, heads · d')."""
        by_head = mixed.view(*mixed.shape[:2], self.heads, -1)
        return mixed if by_head.shape[3] == self.width else by_head[..., : self.width].flatten(2)
