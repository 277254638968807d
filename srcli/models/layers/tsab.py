"""The block AdaFormer repeats: two sparse attentions and an MLP, on tokens in window order."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.attention import LocalAttention, PrototypeAttention

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


class TSAB(nn.Module):
    """Texture-relevant sparse attention block (AdaFormer, Eqs. 8 to 14 and 20 to 24).

    The paper's Eq. 14 has no skip connections; trained networks of this kind need them, so both
    the attention and the MLP add to their input. A token that has halted in one branch gets the
    other branch and the MLP; one that has halted in both is left as it is.
    """

    def __init__(self, *, dim: int, heads: int, window: int, prototypes: int, ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.local_branch = LocalAttention(dim, heads, window)
        self.global_branch = PrototypeAttention(dim, heads, prototypes)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, ratio)

    def forward(
        self, x: Tensor, live: int, exchanging: Tensor | None, region: Tensor, regions: int
    ) -> Tensor:
        """Compute blocks of tokens (n, t, c), of which the first `live` are live windows.

        Args:
            x: Live windows, then packed strays; every token of a live window is computed.
            live: Number of live windows.
            exchanging: (n, t) bool, the tokens that take part in the global branch; None: all.
            region: (n,) int64, the region of each block.
            regions: Number of regions.
        """
        y = self.norm1(x)
        mixed = self.global_branch(y, exchanging, region, regions)
        mixed[:live] += self.local_branch(y[:live])
        x = x + self.proj(mixed)
        return x + self.mlp(self.norm2(x))

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
