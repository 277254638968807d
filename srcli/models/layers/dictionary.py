"""The token dictionary: attention to it, categories by it, and its refinement (ATD, Sec. 3.2, 3.3).

A dictionary is a small set of learned tokens (m, c) that a picture's tokens read from. How alike
the two are also tells each token its category, and after each layer the dictionary moves towards
what the picture holds.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.projected import tokens_at_a_time

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
        """What the similarity is computed by, and what stays in fp32 in a lower precision."""
        return [*self.q.parameters(), *self.k.parameters(), self.scale]

    def similarity(self, tokens: Tensor, dictionary: Tensor) -> Tensor:
        """How tokens (b, n, c) weigh the entries of (b, m, c): (b, n, m), each row summing to 1.

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

        The softmax over the tokens does not see what is added to all of them: of the normalisation
        before it the mean and the bias cancel, and it can be computed without turning the
        similarity round. The sums are in fp32, where weights of 1/n do not vanish.
        """
        with torch.autocast(tokens.device.type, enabled=False):
            read = self._read(similarity, tokens)
        return self._towards(dictionary, read + 0 * self.norm.bias[:, None])

    def _read(self, similarity: Tensor, tokens: Tensor) -> Tensor:
        """The mean (b, m, c) of the tokens, weighed for each entry."""
        count = tokens_at_a_time(similarity)
        mean = similarity.mean(1, keepdim=True)
        spread = torch.zeros_like(mean)
        parts = torch.split(similarity, count, 1)
        for part in parts:
            spread = spread + (part - mean).square().sum(1, keepdim=True)
        slope = self.norm.weight * (spread / similarity.shape[1] + self.norm.eps).rsqrt()
        least, most = similarity.amin(1, keepdim=True), similarity.amax(1, keepdim=True)
        top = torch.maximum(slope * least, slope * most).detach()  # (b, 1, m)
        total = weights = tokens.new_zeros((), dtype=torch.float32)
        for part, some in zip(parts, torch.split(tokens, count, 1), strict=True):
            weight = torch.addcmul(-top, slope, part).exp_()  # (b, k, m), 1 at most
            total = total + weight.transpose(-1, -2) @ some.float()
            weights = weights + weight.sum(1)[..., None]
        return total / weights

    def reference(self, dictionary: Tensor, similarity: Tensor, tokens: Tensor) -> Tensor:
        """The same, as the paper writes it."""
        weight = self.norm(similarity.transpose(-1, -2)).softmax(-1)  # (b, m, n)
        return self._towards(dictionary, weight @ tokens.float())

    def _towards(self, dictionary: Tensor, read: Tensor) -> Tensor:
        keep = torch.sigmoid(self.sigma)
        return keep * dictionary + (1 - keep) * read.to(dictionary.dtype)
