"""The two attentions of a texture-relevant sparse attention block (AdaFormer, Eqs. 8 to 13).

Both take tokens in blocks (n, t, c) and return the same shape, before the output projection.
"""

from itertools import cycle
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = [
    "LocalAttention",
    "PrototypeAttention",
    "attend",
    "head_multiple",
]


def split_heads(packed: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Cut (n, t, parts · c) into `parts` tensors (n, heads, t, d), as views."""
    n, t, width = packed.shape
    return (
        packed.view(n, t, parts, heads, width // (parts * heads)).permute(2, 0, 3, 1, 4).unbind(0)
    )


def join_heads(x: Tensor) -> Tensor:
    """Bring (n, heads, t, d) back to (n, t, c)."""
    return x.transpose(1, 2).flatten(2)


# CUDA's fused kernels put the groups on an axis of their grid, which ends here (PyTorch 146704).
_MOST_GROUPS = 65_535


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Scaled dot-product attention over (n, heads, t, d), n = 0 included.

    For n = 0 in bf16 on CUDA, PyTorch 2.11 returns None instead of an empty tensor.

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        bias: Added to the logits, (1 or n, heads, t, t).
        scale: Factor of the logits; None: 1/√d.
    """
    if not len(q):
        return v
    if len(q) > _MOST_GROUPS:
        parts = zip(*(torch.split(x, _MOST_GROUPS) for x in (q, k, v)), strict=True)
        biases = [bias] if bias is None or len(bias) == 1 else torch.split(bias, _MOST_GROUPS)
        return torch.cat(
            [attend(*part, bias=one, scale=scale) for part, one in zip(parts, cycle(biases))]
        )
    own, multiple = v.shape[-1], head_multiple(q)
    if q.shape[-1] % multiple or own % multiple:
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        # Zeros change no logit, and add channels of zeros.
        q, k, v = (F.pad(x, (0, -x.shape[-1] % multiple)) for x in (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
    return mixed[..., :own] if mixed.shape[-1] > own else mixed


def head_multiple(like: Tensor) -> int:
    """The multiple that a head's channels must be of, so that fused kernels take them.

    Of 16-bit numbers CUDA's want whole 16 bytes; with others, heads of 12 channels take four steps
    through memory instead of one.
    """
    return 8 if like.device.type == "cuda" and like.dtype.itemsize == 2 else 1


def relative_positions(window: int) -> Tensor:
    """The row of a bias table for every pair of positions in a window of S px, (t, t) int64.

    Rows go by query minus key: down, then right, each from -S + 1 on.
    """
    y, x = torch.arange(window * window) // window, torch.arange(window * window) % window
    dy, dx = y[:, None] - y, x[:, None] - x  # query minus key
    return (dy + window - 1) * (2 * window - 1) + dx + window - 1


class LocalAttention(nn.Module):
    """Self-attention inside each window, with relative position bias (AdaFormer, Eqs. 8 and 9).

    Args:
        dim: Token width c.
        heads: Attention heads; c is a multiple of it.
        window: Side S of a window, LR px; a window holds t = S·S tokens.
    """

    position_index: Tensor
    _kept_bias: Tensor | None

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.register_buffer("position_index", relative_positions(window), persistent=False)
        self.register_buffer("_kept_bias", None, persistent=False)

    def prepare(self) -> None:
        """Keep what follows from the parameters alone: they must not change any more."""
        self._kept_bias = self.bias().contiguous()

    def bias(self) -> Tensor:
        """The bias of every pair of positions, (1, heads, t, t)."""
        return self.bias_table[self.position_index].permute(2, 0, 1)[None]

    def forward(self, windows: Tensor) -> Tensor:
        """Attend within each window of (n, t, c)."""
        q, k, v = split_heads(self.qkv(windows), 3, self.heads)  # (n, heads, t, d)
        bias = self.bias().contiguous() if self._kept_bias is None else self._kept_bias
        if not torch.is_grad_enabled():
            bias = bias.detach()  # the fused CPU kernel refuses a bias that wants a gradient
        return join_heads(attend(q, k, v, bias=bias))

    def reference(self, windows: Tensor) -> Tensor:
        """Attend plainly, written out; gives what `forward` gives."""
        q, k, v = split_heads(self.qkv(windows), 3, self.heads)
        logits = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + self.bias()
        return join_heads(logits.softmax(-1) @ v)


class Folded(NamedTuple):
    """Matrices that follow from the parameters of a `PrototypeAttention` alone, fp32.

    Args:
        keys: (c, heads · m), makes a token logits by which prototypes gather.
        value: (heads, c, d), makes what was gathered values.
        value_bias: (heads, 1, d).
        ask: (heads, d, c + 1), makes prototypes' keys what tokens' logits need.
        own: (heads, 1, heads, 1), 1 where two heads are one.
    """

    keys: Tensor
    value: Tensor
    value_bias: Tensor
    ask: Tensor
    own: Tensor


class PrototypeAttention(nn.Module):
    """Attention through M learned prototypes, within a region (AdaFormer, Eqs. 10 to 13).

    The prototypes first gather from all tokens that take part (Eq. 11), then every token reads
    from the prototypes (Eq. 13): linear in the number of tokens.

    Args:
        dim: Token width c.
        heads: Attention heads.
        prototypes: Number M of prototypes.
        shared_query: Prototypes ask by the projection that makes the queries of tokens; otherwise
            they have one of their own.
    """

    _kept_keys: Tensor | None

    def __init__(
        self, dim: int, heads: int, prototypes: int, *, shared_query: bool = False
    ) -> None:
        super().__init__()
        self.heads = heads
        # All exactly 1, as the paper has it, would stay identical to each other for ever.
        self.prototypes = nn.Parameter(1.0 + 0.02 * torch.randn(prototypes, dim))
        self.norm = nn.LayerNorm(dim)
        self.q_proto = None if shared_query else nn.Linear(dim, dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.kv_proto = nn.Linear(dim, 2 * dim)
        for name in Folded._fields:
            self.register_buffer(f"_kept_{name}", None, persistent=False)

    def prepare(self) -> None:
        """Keep what follows from the parameters alone: they must not change any more."""
        for name, value in self._fold()._asdict().items():
            setattr(self, f"_kept_{name}", value)

    def _folded(self) -> "Folded":
        """Matrices that follow from the parameters alone, kept or computed."""
        if self._kept_keys is None:
            return self._fold()
        return Folded(*(getattr(self, f"_kept_{name}") for name in Folded._fields))

    def queries(self) -> Tensor:
        """Queries of the prototypes, (heads, M, d), scaled by 1/√d."""
        asking = self.norm(self.prototypes)  # (m, c)
        weight, bias = self.qkv.weight, self.qkv.bias
        if self.q_proto is not None:
            weight, bias = self.q_proto.weight, self.q_proto.bias
        q = F.linear(asking, weight[: asking.shape[1]], bias[: asking.shape[1]])
        q = q.view(len(q), self.heads, -1).transpose(0, 1)
        return q * q.shape[-1] ** -0.5

    def forward(self, blocks: Tensor, live: Tensor | None, region: Tensor, regions: int) -> Tensor:
        """Let the tokens of each region exchange through the prototypes.

        Blocks never straddle regions, so each is reduced by itself and the sums are then merged
        region by region: a softmax over a whole region without gathering it. Projections are
        folded into what the prototypes ask and tell, so that tokens meet four matrices of width
        heads · M only, and no key, value or query of a token is ever made.

        Args:
            blocks: Tokens (n, t, c).
            live: (n, t) bool, the tokens that take part; the others neither give nor get. None:
                all take part.
            region: (n,) int64, the region of each block.
            regions: Number of regions.

        Returns:
            (n, t, c), zero for the tokens that do not take part.
        """
        folded = self._folded()
        logits = (blocks @ folded.keys.to(blocks.dtype)).float()  # (n, t, heads · m)
        absent = None if live is None else ~live[..., None]
        if absent is not None:
            logits.masked_fill_(absent, float("-inf"))
        peak = _peak_by_region(logits.detach().amax(1), region, regions)
        weight = (logits - peak[region][:, None]).exp()  # 0 for tokens that sit out
        mass = _sum_by_region(weight.sum(1), region, regions)  # (regions, heads · m)
        partial = weight.to(blocks.dtype).transpose(1, 2) @ blocks  # (n, heads · m, c)
        pooled = _sum_by_region(partial.float(), region, regions)
        pooled = pooled / mass.clamp_min(torch.finfo(mass.dtype).tiny)[..., None]
        ask, answer = (x.to(blocks.dtype)[region] for x in self._fold_values(pooled, folded))
        # (n, t, heads · m)
        logits = torch.baddbmm(ask[:, None, :, -1], blocks, ask[..., :-1].mT)
        share = logits.view(*logits.shape[:2], self.heads, -1).softmax(-1).flatten(2)
        mixed = share @ answer
        return mixed if absent is None else mixed.masked_fill_(absent, 0.0)

    def _fold(self) -> "Folded":
        """Fold parameters into what tokens and pooled tokens meet, in fp32."""
        dim = self.qkv.in_features
        weight = self.qkv.weight.float().view(3, self.heads, -1, dim)  # (3, heads, d, c)
        bias = self.qkv.bias.float().view(3, self.heads, -1)
        own = torch.eye(self.heads, device=weight.device)[:, None, :, None]
        return Folded(
            # A key's bias shifts all logits of a prototype alike, which no softmax sees.
            keys=(self.queries().float() @ weight[1]).flatten(0, 1).T,
            value=weight[2].mT,
            value_bias=bias[2][:, None],
            ask=torch.cat([weight[0], bias[0][..., None]], 2) * weight.shape[2] ** -0.5,
            own=own,
        )

    def _fold_values(self, pooled: Tensor, folded: "Folded") -> tuple[Tensor, Tensor]:
        """Fold queries, keys and values of a region's prototypes into what its tokens need.

        Args:
            pooled: (regions, heads · m, c), the tokens as each prototype gathered them.
            folded: What follows from the parameters alone.

        Returns:
            What makes a token logits, (regions, heads · m, c + 1), a matrix and a shift, and the
            matrix (regions, heads · m, c) that makes their softmax a result.
        """
        regions, width, dim = pooled.shape
        m = width // self.heads
        by_head = pooled.view(regions, self.heads, m, dim).transpose(0, 1).flatten(1, 2)
        values = torch.baddbmm(folded.value_bias, by_head, folded.value)  # (heads, r · m, d)
        told = F.linear(
            values.transpose(0, 1).flatten(1), self.kv_proto.weight.float(),
            self.kv_proto.bias.float(),
        )  # fmt: skip
        keys, values = told.view(regions, m, 2, self.heads, -1).unbind(2)  # (r, m, heads, d)
        ask = keys.flatten(0, 1).transpose(0, 1) @ folded.ask  # (heads, r · m, c + 1)
        ask = ask.view(self.heads, regions, m, -1).transpose(0, 1).flatten(1, 2)
        answer = values.transpose(1, 2)[:, :, :, None] * folded.own  # (r, heads, m, heads, d)
        return ask, answer.flatten(3).flatten(1, 2)

    def reference(self, tokens: Tensor, live: Tensor) -> Tensor:
        """Attend plainly over whole regions: tokens (r, t, c), one region a row, live (r, t)."""
        q, k, v = split_heads(self.qkv(tokens), 3, self.heads)  # (r, heads, t, d)
        logits = self.queries() @ k.transpose(-1, -2)  # (r, heads, m, t)
        logits = logits.masked_fill(~live[:, None, None], float("-inf"))
        pooled = logits.softmax(-1).nan_to_num(0.0) @ v  # (r, heads, m, d)
        keys, values = split_heads(self.kv_proto(join_heads(pooled)), 2, self.heads)
        weight = (q @ keys.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        return join_heads(weight @ values) * live[..., None]


def _sum_by_region(parts: Tensor, region: Tensor, regions: int) -> Tensor:
    """Add up (n, ...) by region into (regions, ...)."""
    return parts.new_zeros(regions, *parts.shape[1:]).index_add_(0, region, parts)


def _peak_by_region(peaks: Tensor, region: Tensor, regions: int) -> Tensor:
    """The largest of (n, m) in each region, (regions, m); very low where no token takes part."""
    lowest = peaks.new_full((regions, peaks.shape[1]), torch.finfo(peaks.dtype).min)
    return lowest.scatter_reduce_(0, region[:, None].expand_as(peaks), peaks, "amax")
