"""The token dictionary: attention to it, categories by it, and its refinement (ATD, Sec. 3.2, 3.3).

A dictionary is a small set of learned tokens (m, c) that an image's tokens read from. How alike
the two are also tells each token its category, and after each layer the dictionary moves towards
what the image holds.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["DictionaryAttention", "DictionaryRefinement"]


class DictionaryAttention(nn.Module):
    """Cross-attention from tokens to the dictionary (ATD, Eqs. 3 to 5).

    Args:
        dim: Token width c.
        entries: Dictionary tokens m.
        reduced: Width r in which tokens and dictionary are compared.
    """

    def __init__(self, dim: int, entries: int, reduced: int) -> None:
        super().__init__()
        self.q = nn.Linear(dim, reduced)
        self.k = nn.Linear(dim, reduced)
        self.v = nn.Linear(dim, dim)
        self.scale = nn.Parameter(torch.full((entries,), 0.5))

    def kept_full(self) -> list[nn.Parameter]:
        """Parameters of the similarity, which stay in fp32 in a lower precision."""
        return [*self.q.parameters(), *self.k.parameters(), self.scale]

    def similarity(self, tokens: Tensor, dictionary: Tensor) -> Tensor:
        """Weights of entries (b, m, c) for tokens (b, n, c): (b, n, m), each row summing to 1.

        In fp32 whatever the tokens are, under autocast too: rounded, many entries would weigh the
        same, and the category of a token would be chance.
        """
        with torch.autocast(tokens.device.type, enabled=False):
            sharpness = 1 + self.scale.clamp(0, 1) * math.log(dictionary.shape[1])
            q = F.normalize(self.q(tokens.float()), dim=-1)
            k = F.normalize(self.k(dictionary.float()), dim=-1) * sharpness[:, None]
            return (q @ k.transpose(-1, -2)).softmax(-1)

    def forward(self, similarity: Tensor, dictionary: Tensor) -> Tensor:
        """Read (b, m, c) by similarity (b, n, m): (b, n, c)."""
        values = self.v(dictionary)
        return similarity.to(values.dtype) @ values


class DictionaryRefinement(nn.Module):
    """Moves the dictionary towards the tokens that resemble it (ATD, Eqs. 6 and 7).

    Args:
        entries: Dictionary tokens m.
    """

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm1d(entries, affine=True)
        self.sigma = nn.Parameter(torch.zeros(entries, 1))

    def forward(self, dictionary: Tensor, similarity: Tensor, tokens: Tensor) -> Tensor:
        """Update (b, m, c) from the similarity (b, n, m) of tokens (b, n, c).

        In fp32, where weights of 1/n do not vanish, and in the paper's order: any other rounds
        otherwise, and a token whose two best entries are equal to the seventh digit would change
        its category.
        """
        with torch.autocast(tokens.device.type, enabled=False):
            likeness = F.instance_norm(
                similarity.transpose(-1, -2),
                weight=self.norm.weight.float(),
                bias=self.norm.bias.float(),
                eps=self.norm.eps,
            )
            read = likeness.softmax(-1) @ tokens.float()  # (b, m, c)
        keep = torch.sigmoid(self.sigma)
        return keep * dictionary + (1 - keep) * read.to(dictionary.dtype)
