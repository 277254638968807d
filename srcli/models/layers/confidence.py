"""The confidence estimator that all layers share (AdaFormer, Eq. 15), or one each (Tab. 4)."""

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.layers.windows import WindowGrid

__all__ = ["REACH", "ConfidenceEstimator", "estimator_after", "make_estimators"]

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

    def on_windows(
        self,
        tokens: Tensor,
        grid: WindowGrid,
        chosen: Tensor,
        above: Tensor | None = None,
        below: Tensor | None = None,
    ) -> Tensor:
        """Confidence of some windows only, each computed with the 2 px around it.

        Args:
            tokens: (n, S·S, c) in window order.
            grid: How the band is cut into windows.
            chosen: (k,) int64, the numbers of the windows wanted.
            above: The rows just above the band, (b, c, 2, w); None at the image's edge.
            below: The rows just below.

        Returns:
            (k, S·S) in [0, 1].
        """
        patches, inside = _surroundings(tokens, grid, chosen, above, below)
        hidden = torch.tanh(F.conv2d(patches, self.conv1.weight, self.conv1.bias))
        # Beyond the image the second convolution must see zeros, not tanh of something.
        hidden = hidden * inside[:, None, 1:-1, 1:-1]
        logits = F.conv2d(hidden, self.conv2.weight, self.conv2.bias)  # (k, 1, S, S)
        return torch.sigmoid(logits.float()).flatten(1)


def make_estimators(dim: int, hidden: int, layers: int | None) -> nn.Module:
    """One estimator, or a list of `layers`, which begin alike."""
    first = ConfidenceEstimator(dim, hidden)
    if layers is None:
        return first
    return nn.ModuleList([first, *(copy.deepcopy(first) for _ in range(layers - 1))])


def estimator_after(estimators: nn.Module, layer: int) -> ConfidenceEstimator:
    """The estimator of `make_estimators` that follows a layer, counted from 1."""
    mine = estimators[layer - 1] if isinstance(estimators, nn.ModuleList) else estimators
    return cast("ConfidenceEstimator", mine)


def _surroundings(
    tokens: Tensor, grid: WindowGrid, chosen: Tensor, above: Tensor | None, below: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Windows with the 2 px around them, gathered token by token; see `on_windows`.

    Returns:
        (k, c, S+4, S+4), zero beyond the image; and (k, S+4, S+4) bool, True inside it.
    """
    c = tokens.shape[2]
    places, within = grid.surroundings(REACH, tokens.device)
    y, x = places.index_select(0, chosen).unbind(1)  # (k, S+4)
    within_y, within_x = within.index_select(0, chosen).unbind(1)
    place = y[:, :, None] + x[:, None]  # (k, S+4, S+4)
    patches = tokens.flatten(0, 1).index_select(0, place.flatten()).view(*place.shape, c)
    if above is not None or below is not None:
        _add_beyond(patches, within_y, grid, chosen, (above, below))
    inside = within_y[:, :, None] & within_x[:, None]
    return (patches * inside[..., None]).permute(0, 3, 1, 2), inside


def _add_beyond(
    patches: Tensor,
    within_y: Tensor,
    grid: WindowGrid,
    chosen: Tensor,
    beyond: tuple[Tensor | None, Tensor | None],
) -> None:
    """Put the rows above and below a band into the surroundings of its windows.

    Args:
        patches: (k, S+4, S+4, c), changed in place.
        within_y: (k, S+4) bool, True = this row is inside the image; changed in place.
        grid: See `ConfidenceEstimator.on_windows`.
        chosen: Likewise.
        beyond: Above and below, likewise.
    """
    s, c = grid.window, patches.shape[3]
    rest = chosen // grid.columns
    image, row, column = rest // grid.rows, rest % grid.rows, chosen % grid.columns  # (k,)
    reach = torch.arange(-REACH, s + REACH, device=patches.device)
    x = (column[:, None] * s + reach).clamp(0, grid.columns * s - 1)  # (k, S+4)
    above, below = beyond
    for rows, here, part in (
        (above, row == 0, slice(0, REACH)),
        (below, row == grid.rows - 1, slice(s + REACH, s + 2 * REACH)),
    ):
        if rows is None:
            continue
        number = image[:, None] * REACH + torch.arange(REACH, device=patches.device)
        place = number[:, :, None] * rows.shape[3] + x[:, None]  # (k, 2, S+4)
        seen = rows.permute(0, 2, 3, 1).reshape(-1, c).index_select(0, place.flatten())
        seen = seen.view(*place.shape, c)
        patches[:, part] = torch.where(here[:, None, None, None], seen, patches[:, part])
        within_y[:, part] |= here[:, None]
