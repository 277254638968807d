"""The confidence estimator that all layers share (AdaFormer, Eq. 15)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.windows import WindowGrid

__all__ = ["REACH", "ConfidenceEstimator"]

REACH = 2  # px that the estimate looks beyond a token: two 3×3 convolutions


class ConfidenceEstimator(nn.Module):
    """Conv 3×3, tanh, conv 3×3, sigmoid: how well each token is restored already.

    Args:
        dim: Token width c.
        hidden: Channels in between.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, hidden, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden, 1, 3, padding=1)
        # Near sigmoid(-2) = 0.12: at 0.5 everything would halt after two layers.
        nn.init.constant_(self.conv2.bias, -2.0)  # pyright: ignore[reportArgumentType]

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens in image order (b, c, h, w) to confidence (b, 1, h, w) in [0, 1]."""
        return torch.sigmoid(self.conv2(torch.tanh(self.conv1(tokens))).float())

    def on_windows(self, image: Tensor, grid: WindowGrid, chosen: Tensor, skip: int = 0) -> Tensor:
        """The same for some windows only, each computed with the 2 px around it.

        Args:
            image: The tokens in image order, (b, c, h, w), perhaps with rows of the bands above
                and below.
            grid: How the band is cut into windows.
            chosen: (k,) int64, the numbers of the windows wanted.
            skip: Rows of `image` above the band, 0 or 2.

        Returns:
            (k, S·S) in [0, 1].
        """
        height = grid.rows * grid.window
        after = skip + height + REACH - image.shape[2]
        inside = F.pad(image.new_ones(image[:, :1].shape), (1, 1, 1, 1))
        padded = F.pad(image, (REACH, REACH, REACH - skip, after))
        if skip:
            inside = inside[:, :, REACH:]
        patches = _neighbourhoods(padded, grid)[_position(grid, chosen)]  # (k, S+4, S+4, c)
        hidden = torch.tanh(F.conv2d(_channels_first(patches), self.conv1.weight, self.conv1.bias))
        # Beyond the picture the second convolution must see zeros, not tanh of something.
        inside = _neighbourhoods(inside, grid, halo=1)[_position(grid, chosen)]
        hidden = hidden * _channels_first(inside)
        logits = F.conv2d(hidden, self.conv2.weight, self.conv2.bias)  # (k, 1, S, S)
        return torch.sigmoid(logits.float()).flatten(1)


def _neighbourhoods(padded: Tensor, grid: WindowGrid, halo: int = REACH) -> Tensor:
    """View a padded map as the overlapping surroundings of its windows.

    Returns:
        (b, rows, columns, S + 2·halo, S + 2·halo, c), without copying.
    """
    side = grid.window + 2 * halo
    views = padded.unfold(2, side, grid.window).unfold(3, side, grid.window)
    return views.permute(0, 2, 3, 4, 5, 1)


def _position(grid: WindowGrid, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where windows numbered `chosen` lie: picture, row and column."""
    rest = chosen // grid.columns
    return rest // grid.rows, rest % grid.rows, chosen % grid.columns


def _channels_first(patches: Tensor) -> Tensor:
    return patches.permute(0, 3, 1, 2)
