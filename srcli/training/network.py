"""AdaFormer as it is trained: everything computed, then masked, a whole patch being one region.

Training patches are small and few of their windows halt, so that gathering what is live costs
more than it saves; and a compiler wants shapes that do not change. This is the network's
`reference` for patches that are regions of their own, all of them in one go.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from srcli.models.adaformer import AdaFormer
from srcli.models.layers.confidence import ConfidenceEstimator
from srcli.models.layers.convolutions import in_full
from srcli.models.layers.halting_masks import halted_by
from srcli.models.layers.tsab import TSAB
from srcli.models.layers.windows import WindowGrid
from srcli.training.exit_losses import halting_shares

__all__ = ["Backend", "PatchNetwork", "PatchOutput"]

Backend = str | Callable[..., object]  # what `torch.compile` calls a backend


@dataclass(frozen=True)
class PatchOutput:
    """Output of the network for a batch of patches.

    Args:
        image: (b, 3, s·h, s·w), nominally in [0, 1].
        confidence: (b, L, h, w) in [0, 1], the confidence maps of all layers.
        live_windows: (L,) in [0, 1], the share of windows the local branch of each layer computed.
        earlier: Images if the network ended after each layer but the last; only where they are
            needed.
    """

    image: Tensor
    confidence: Tensor
    live_windows: Tensor
    earlier: tuple[Tensor, ...] = ()


class PatchNetwork(nn.Module):
    """An AdaFormer over patches whose sides are multiples of its window.

    Args:
        net: The network; its parameters are the ones that train.
        token_share: The share of the estimator's gradient that reaches the tokens, in [0, 1]:
            with none of it the estimator cannot follow the tokens and collapses to a constant,
            with all of it halting costs PSNR.
        exits: What the estimator learns, one of `exit_losses.EXITS`.
        ends_at: Score at which tokens halt once they do; only for "ponder".
    """

    def __init__(
        self,
        net: AdaFormer,
        token_share: float,
        exits: str = "uncertainty",
        ends_at: float = 0.95,
    ) -> None:
        super().__init__()
        self.net = net
        self.token_share = token_share
        self.exits, self.ends_at = exits, ends_at
        self.run_plain()

    def run_plain(self) -> None:
        """Run as written, the way it is until `compile_parts`."""
        self._convolve, self._attend, self._estimate = _apply, _block, _confidence

    def compile_parts(self, backend: Backend = "inductor") -> None:
        """Let its repeated parts be compiled when they first run.

        Encoder and decoder share what is compiled, and so do all blocks: compiling takes a fraction
        of what the whole network in one piece would.
        """
        self._convolve = torch.compile(_apply, backend=backend, dynamic=False)
        self._attend = torch.compile(_block, backend=backend, dynamic=False)
        self._estimate = torch.compile(_confidence, backend=backend, dynamic=False)

    def forward(self, lr: Tensor, threshold: float) -> PatchOutput:
        """Upscale (b, 3, h, w); a halting score of `threshold` stops a token (inf: never)."""
        net = self.net
        shallow = in_full(net.head, lr - net.mean)
        features = self._convolve(net.encoder, shallow)  # (b, c, h, w)
        grid = WindowGrid.of(features, net.config.window)
        tokens = grid.split(net.embed(features))  # (n, t, c)
        score = torch.zeros_like(tokens[..., 0], dtype=torch.float32)  # (n, t)
        maps: list[Tensor] = []
        live: list[Tensor] = []
        states: list[Tensor] = []  # (n, t, c) after each layer, without gradients
        for number, block in enumerate(net.blocks, start=1):
            assert isinstance(block, TSAB)
            halts = threshold if maps else float("inf")  # nothing before there is a confidence
            local_halted, global_halted = halted_by(score, halts, net.config.masks)
            tokens = self._attend(block, tokens, local_halted, global_halted, grid.batch)
            estimator = net.estimator_after(number)
            maps.append(self._estimate(estimator, tokens, grid, self.token_share))
            live.append(1.0 - local_halted.float().mean())
            states.append(tokens.detach())
            score = score + grid.split(maps[-1].detach()).squeeze(2)  # Eq. 18
        confidence = torch.cat(maps, 1)
        earlier: tuple[Tensor, ...] = ()
        if self.exits == "ponder":
            tokens = self._with_gradient_of_depth(tokens, states, grid, confidence)
        if self.exits == "increment":
            with torch.no_grad():
                earlier = tuple(self._decode(features, t, grid, shallow) for t in states[:-1])
        image = self._decode(features, tokens, grid, shallow)
        return PatchOutput(image, confidence, torch.stack(live), earlier)

    def _decode(
        self, features: Tensor, tokens: Tensor, grid: WindowGrid, shallow: Tensor
    ) -> Tensor:
        """The image (b, 3, s·h, s·w) from tokens (n, t, c)."""
        net = self.net
        features = features + net.unembed(grid.merge(tokens))
        features = self._convolve(net.decoder, features) + shallow
        return F.pixel_shuffle(in_full(net.tail, features), net.scale) + net.mean

    def _with_gradient_of_depth(
        self, tokens: Tensor, states: list[Tensor], grid: WindowGrid, confidence: Tensor
    ) -> Tensor:
        """Let the image's loss reach the confidence through the tokens, which keep their values.

        A-ViT's output is the mean of a token's states, weighted by the probabilities that it halts
        there. Here tokens keep their last state, as they do when the network runs; only the
        gradient is that of the mean.
        """
        shares = grid.split(halting_shares(confidence, self.ends_at))  # (n, t, L)
        mean = (torch.stack(states, 3) * shares[:, :, None]).sum(3)  # (n, t, c)
        return tokens + mean - mean.detach()


def _apply(stack: nn.Module, features: Tensor) -> Tensor:
    """A stack of residual blocks over features (b, c, h, w)."""
    return stack(features)


def _confidence(
    estimator: ConfidenceEstimator, tokens: Tensor, grid: WindowGrid, token_share: float
) -> Tensor:
    """The confidence map (b, 1, h, w); `token_share` of its gradient reaches the tokens."""
    steady = tokens.detach()
    return estimator(grid.merge(steady + token_share * (tokens - steady)))


def _block(
    block: TSAB, tokens: Tensor, local_halted: Tensor, global_halted: Tensor, patches: int
) -> Tensor:
    """One TSAB over tokens (n, t, c) of a number of patches, each being one region."""
    y = block.norm1(tokens)
    per_patch = (patches, -1)
    whole = block.global_branch.reference(
        y.view(*per_patch, y.shape[2]), ~global_halted.view(per_patch)
    )
    branches = block.local_branch.reference(y), whole.reshape(y.shape)
    return block.combine(tokens, y, branches, local_halted, global_halted)
