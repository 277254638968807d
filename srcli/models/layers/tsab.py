"""The block AdaFormer repeats: two sparse attentions and an MLP, on tokens in window order."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.attention import LocalAttention, PrototypeAttention
from srcli.models.layers.whole_regions import FusedAttention

__all__ = ["TSAB"]


class MLP(nn.Module):
    """Linear, GELU, linear on each token."""

    def __init__(self, dim: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, ratio * dim)
        self.fc2 = nn.Linear(ratio * dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (..., c) to (..., c)."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class NoExchange(nn.Module):
    """Stands where a block has no global branch: every token gets zeros (AdaFormer, Tab. 3)."""

    def forward(self, blocks: Tensor, live: Tensor | None, region: Tensor, regions: int) -> Tensor:
        """Give zeros for tokens (n, t, c); the rest is as `PrototypeAttention` takes it."""
        return torch.zeros_like(blocks)

    def reference(self, tokens: Tensor, live: Tensor) -> Tensor:
        """Give zeros for tokens (r, t, c)."""
        return torch.zeros_like(tokens)


class TSAB(nn.Module):
    """Texture-relevant sparse attention block (AdaFormer, Eqs. 8 to 14 and 20 to 24).

    The paper's Eq. 14 has no skip connections; trained networks of this kind need them, so both
    the attention and the MLP add to their input.

    Two rules say what a token gets from a branch in which it has halted. By "freeze" it gets
    nothing from it, and is left as it is, without the MLP, if it has halted in both. By "pass" it
    gets its own normalised value in place of the attention, and always the MLP.

    Args:
        dim: Token width c.
        heads: Attention heads in both branches.
        window: Side of a window, LR px.
        prototypes: Prototypes of the global branch; 0: there is none.
        ratio: Width of the MLP's middle, in c.
        halted: The rule, "freeze" or "pass".
        projected: A linear layer follows the attention.
        shared_query: Prototypes ask by the projection that makes the queries of tokens.
    """

    def __init__(
        self,
        *,
        dim: int,
        heads: int,
        window: int,
        prototypes: int,
        ratio: int,
        halted: str = "freeze",
        projected: bool = True,
        shared_query: bool = False,
    ) -> None:
        super().__init__()
        self.passes = halted == "pass"
        self.norm1 = nn.LayerNorm(dim)
        self.local_branch = LocalAttention(dim, heads, window)
        self.global_branch = (
            PrototypeAttention(dim, heads, prototypes, shared_query=shared_query)
            if prototypes
            else NoExchange()
        )
        self.proj = nn.Linear(dim, dim) if projected else nn.Identity()
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, ratio)
        self._fused: FusedAttention | None = None

    @property
    def has_exchange(self) -> bool:
        """True if there is a global branch, without which nothing is computed in whole regions."""
        return isinstance(self.global_branch, PrototypeAttention)

    @torch.no_grad()
    def prepare(self) -> None:
        """Keep what follows from the parameters alone: they must not change any more."""
        self.local_branch.prepare()
        if isinstance(self.global_branch, PrototypeAttention):
            self.global_branch.prepare()
            self._fused = self._fuse(self.global_branch)

    def _fuse(self, shared: PrototypeAttention) -> FusedAttention:
        return FusedAttention(self.local_branch, shared, self.proj)

    def forward(
        self, x: Tensor, live: int, global_active: Tensor | None, region: Tensor, regions: int
    ) -> Tensor:
        """Compute blocks of tokens (n, t, c), of which the first `live` are live windows.

        Args:
            x: Live windows, then packed strays; every token of a live window is computed.
            live: Number of live windows.
            global_active: (n, t) bool, the tokens that take part in the global branch; None: all.
            region: (n,) int64, the region of each block.
            regions: Number of regions.
        """
        y = self.norm1(x)
        mixed = self.global_branch(y, global_active, region, regions)
        mixed[:live] += self.local_branch(y[:live])
        if self.passes and global_active is not None:
            sat_out = (~global_active).to(y.dtype)  # branches, of two, that a token sat out
            sat_out[live:] += 1.0
            mixed = torch.addcmul(mixed, y, sat_out[..., None])
        return self._add(x, mixed)

    def forward_whole(
        self,
        x: Tensor,
        regions: int,
        key_bias: Tensor | None,
        halted: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """Compute all tokens of whole regions, and mask; gives what `reference` gives.

        Not for gradients: it changes what attention gives in place.

        Args:
            x: Windows (n, t, c) region by region, each region of as many.
            regions: Number of regions.
            key_bias: (regions, 1, 1, T), very low for the tokens of a region that do not take part
                in the global branch; None: all do.
            halted: The windows (n,) and tokens (n, t) that have halted, bool; None: none has.
        """
        assert isinstance(self.global_branch, PrototypeAttention)
        fused = self._fused or self._fuse(self.global_branch)
        y = self.norm1(x)
        local, exchanged = fused.both(y, regions, key_bias)
        if halted is None:
            return self._add_projected(x, fused.project(local.add_(exchanged)))
        no_local, no_exchange = halted[0][:, None, None], halted[1][..., None]
        if self.passes:
            local = torch.where(no_local, y, fused.plain(local))
            exchanged = torch.where(no_exchange, y, fused.plain(exchanged))
            return self._add(x, local.add_(exchanged))
        mixed = local.masked_fill_(no_local, 0.0).add_(exchanged.masked_fill_(no_exchange, 0.0))
        z = self._add_projected(x, fused.project(mixed))
        return torch.where(no_local & no_exchange, x, z)

    def forward_halted(self, x: Tensor) -> Tensor:
        """Compute tokens (..., c) that have halted in both branches, by the rule "pass"."""
        return self._add(x, 2.0 * self.norm1(x))

    def reference(
        self,
        tokens: Tensor,
        local_halted: Tensor,
        global_halted: Tensor,
        region: Tensor,
        regions: int,
    ) -> Tensor:
        """Compute everywhere and mask; gives what `forward` gives.

        Args:
            tokens: (n, t, c) in window order.
            local_halted: (n,) bool.
            global_halted: (n, t) bool.
            region: (n,) int64, the region of each window.
            regions: Number of regions.
        """
        y = self.norm1(tokens)
        local = self.local_branch.reference(y)
        exchanged = torch.zeros_like(local)
        for number in range(regions):
            mine = region == number
            whole = y[mine].flatten(0, 1)[None]  # (1, tokens of the region, c)
            live = ~global_halted[mine].flatten()[None]
            exchanged[mine] = self.global_branch.reference(whole, live).view_as(y[mine])
        return self.combine(tokens, y, (local, exchanged), local_halted, global_halted)

    def combine(
        self,
        tokens: Tensor,
        y: Tensor,
        branches: tuple[Tensor, Tensor],
        local_halted: Tensor,
        global_halted: Tensor,
    ) -> Tensor:
        """The block's output from both branches computed everywhere, by the rule for halted tokens.

        Args:
            tokens: (n, t, c), what the block began with.
            y: (n, t, c), the same normalised.
            branches: (n, t, c) each, what the local and the global attention gave.
            local_halted: (n,) bool.
            global_halted: (n, t) bool.
        """
        local, exchanged = branches
        instead = y.to(local.dtype) if self.passes else 0.0
        local = torch.where(local_halted[:, None, None], instead, local)
        exchanged = torch.where(global_halted[..., None], instead, exchanged)
        z = self._add(tokens, local + exchanged)
        if self.passes:
            return z
        frozen = local_halted[:, None] & global_halted
        return torch.where(frozen[..., None], tokens, z)

    def _add(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Add what the branches gave, then the MLP."""
        return self._add_projected(x, self.proj(mixed))

    def _add_projected(self, x: Tensor, projected: Tensor) -> Tensor:
        """Add what the projection gave, then the MLP."""
        x = x + projected
        return x + self.mlp(self.norm2(x))
