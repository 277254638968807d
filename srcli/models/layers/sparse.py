"""A sparse layer over the bands of an image: only what is live is computed.

A band is a strip of the image as wide as the whole, some regions high; an image may be one
band. Attention never looks outside a region, so a layer takes bands as they come. Only the
confidence estimate, two 3×3 convolutions, looks 2 px into the bands above and below: a layer
therefore lets a band go once the one below it has come.
"""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from srcli.models.layers.confidence import REACH, ConfidenceEstimator
from srcli.models.layers.halting_masks import LayerRecord, halted_by, layer_traces
from srcli.models.layers.indexing import put_rows, with_rows
from srcli.models.layers.packing import all_active, idle_tokens, pack
from srcli.models.layers.tsab import TSAB
from srcli.models.layers.whole_regions import out_of_sight
from srcli.models.layers.windows import WholeRegions, WindowGrid
from srcli.models.spec import LayerTrace

__all__ = [
    "TokenBand",
    "chunk_of_windows",
    "sparse_layer",
    "watched",
]

# Above this share of windows, one convolution over the whole map beats one per neighbourhood.
_DENSE_SHARE = 0.6

# What choosing and packing tokens costs the host is the same for a small band and a large one, and
# what it spares a card grows with the band and shrinks with the card's processors. Below so many
# windows a processor all is computed and masked. adaformer x4 on an H100, 132 processors, bf16, the
# shortest of some runs, packed and masked: 28.0 and 19.3 ms balanced at 174,000 px, 53.5 and 56.1
# at 700,000, 139 and 158 at 2,074,000; fast 27.9 and 31.4, 42.6 and 56.2, 85 and 158.
_WINDOWS_A_PROCESSOR = 64


def masked_up_to(device: torch.device) -> int:
    """The most windows of a band that are better computed and masked than packed."""
    if device.type != "cuda":
        return 0
    card = cast("Any", torch.cuda).get_device_properties(device)  # PyTorch does not type it
    return _WINDOWS_A_PROCESSOR * cast("int", card.multi_processor_count)


def takes_whole_regions(device: torch.device) -> bool:
    """True if a device computes whole regions where nothing has halted: few large kernels."""
    return device.type != "cpu"


# Windows computed at a time. On a CPU what a chunk needs stays in the cache and in memory at hand;
# elsewhere few large kernels are best.
_CHUNK = {"cpu": 96}
_LARGE_CHUNK = 1 << 14


def chunk_of_windows(device: torch.device) -> int:
    """Number of windows that a layer computes at a time on a device."""
    return _CHUNK.get(device.type, _LARGE_CHUNK)


class TokenBand:
    """A band on its way through the layers.

    Args:
        features: What the tokens were made from, (b, c, h, w).
        tokens: (n, t, c) in window order; updated in place.
        grid: How the band is cut into windows.
        region: Side of the global branch's region, in windows; 0 is the whole band.
        masks: What halts, as in `halted_by`.
        short: (n,) bool, windows that sit out all layers; None: none do.
    """

    maskable = True
    """It may be computed in whole regions and masked; not where operations are counted."""

    def __init__(
        self,
        features: Tensor,
        tokens: Tensor,
        grid: WindowGrid,
        region: int,
        masks: str = "both",
        short: Tensor | None = None,
    ) -> None:
        self.features = features
        self.tokens = tokens
        self.grid = grid
        self.regions = grid.regions(region, tokens.device)
        self.score = tokens.new_zeros(tokens.shape[:2], dtype=torch.float32)  # R, Eq. 18
        self.confidence: Tensor | None = None  # (n, t)
        self.records: list[LayerRecord] = []
        self._which = masks
        self._short = short
        nowhere = torch.zeros_like(self.score, dtype=torch.bool)
        self._masks = nowhere[:, 0], nowhere
        self._active = all_active(self.regions)
        self._may_mask = False
        self._masked = False  # the present layer is computed in whole regions
        self._hidden: Tensor | None = None  # (places, t), of all regions

    def compute(self, block: TSAB, threshold: float, chunk: int) -> None:
        """Run one block over what is live, `chunk` windows at a time."""
        self._may_mask = self._may_take_whole_regions(block)
        self._masked = self._may_mask and takes_whole_regions(self.tokens.device)
        self.choose(threshold)
        if self._masked:
            self._compute_whole_regions(block, chunk)
            return
        for part in self._active.chunks(chunk):
            x = block(
                part.gather(self.tokens),
                len(part.windows),
                part.global_active,
                part.region,
                part.regions,
            )
            part.scatter(x, self.tokens)
        if block.passes:
            self._pass_idle(block, chunk)

    def choose(self, threshold: float) -> None:
        """Choose what the next block computes; until there is a confidence, nothing has halted."""
        if self.confidence is not None:
            self.halt(*self._halted(threshold))
        elif self._short is not None:
            self.halt(*self._with_short(*self._masks))

    def halt(self, local_halted: Tensor, global_halted: Tensor) -> None:
        """Leave these windows (n,) and tokens (n, t) out of the branches from now on."""
        self._masks = (local_halted, global_halted)
        device = self.tokens.device
        self._masked = self._may_mask and len(self.tokens) <= masked_up_to(device)
        if self._masked:
            return
        self._active = pack(*self._masks, self.regions, bucketed=device.type != "cpu")

    def _may_take_whole_regions(self, block: TSAB) -> bool:
        compiled = getattr(block, "_compiled_call_impl", None) is not None
        has_them = self.regions.whole is not None and block.has_exchange
        return self.maskable and has_them and not compiled and not torch.is_grad_enabled()

    def _compute_whole_regions(self, block: TSAB, chunk: int) -> None:
        """Compute everything and mask, which waits for nothing; gives what packing gives."""
        whole = self.regions.whole
        assert whole is not None
        step = max(1, chunk // whole.size) * whole.size
        parts = [
            self._whole_regions(block, whole, slice(start, start + step))
            for start in range(0, len(whole.windows), step)
        ]
        tokens = parts[0] if len(parts) == 1 else torch.cat(parts)
        self.tokens = tokens.index_select(0, whole.places)

    def _whole_regions(self, block: TSAB, whole: WholeRegions, places: slice) -> Tensor:
        """The tokens of some regions after a block, (p, t, c).

        Args:
            block: To run.
            whole: All regions.
            places: Of these.
        """
        windows = whole.windows[places]
        count = len(windows) // whole.size
        bias: Tensor | None = None
        if whole.filler is not None:
            bias = self._hidden_filler(whole.filler)[places]
        halted: tuple[Tensor, Tensor] | None = None
        if self.confidence is not None or self._short is not None:  # something may have halted
            local, shared = self._masks
            halted = local.index_select(0, windows), shared.index_select(0, windows)
            bias = self.tokens.new_zeros(1) if bias is None else bias
            bias = torch.add(bias, halted[1], alpha=out_of_sight(self.tokens.dtype))
        key_bias = None if bias is None else bias.view(count, 1, 1, -1)
        return block.forward_whole(self.tokens.index_select(0, windows), count, key_bias, halted)

    def _hidden_filler(self, filler: Tensor) -> Tensor:
        """Summand of the logits of all places (p, t) as keys: very low where `filler` is."""
        if self._hidden is None:
            low = filler[:, None].to(self.tokens.dtype) * out_of_sight(self.tokens.dtype)
            self._hidden = low.expand(-1, self.tokens.shape[1]).contiguous()
        return self._hidden

    def _pass_idle(self, block: TSAB, chunk: int) -> None:
        """Run what a block does with idle tokens, as many at a time as `chunk` windows hold."""
        tokens = self.tokens.view(-1, self.tokens.shape[2])
        idle = idle_tokens(self._active, *self._masks)
        step = chunk * self.tokens.shape[1]
        for start in range(0, len(idle), step):
            some = idle[start : start + step]
            put_rows(tokens, some, block.forward_halted(tokens.index_select(0, some)))

    def _halted(self, threshold: float) -> tuple[Tensor, Tensor]:
        """The windows (n,) and tokens (n, t) that have halted (AdaFormer, Eqs. 19 and 22)."""
        return self._with_short(*halted_by(self.score, threshold, self._which))

    def _with_short(self, local: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Masks with the windows that sit out all layers."""
        short = self._short
        return (local, shared) if short is None else (local | short, shared | short[:, None])

    def estimate(
        self, estimator: ConfidenceEstimator, above: Tensor | None, below: Tensor | None
    ) -> None:
        """Estimate confidence where tokens changed, and add it to the scores.

        Args:
            estimator: Shared by all layers.
            above: The rows just above this band, (b, c, 2, w); None at the image's edge.
            below: The rows just below.
        """
        touched = self._active.touched
        if (
            self.confidence is None
            or self._masked
            or len(touched) > _DENSE_SHARE * len(self.tokens)
        ):
            image = self.grid.merge(self.tokens)
            image = torch.cat([part for part in (above, image, below) if part is not None], 2)
            skip = 0 if above is None else REACH
            dense = estimator(image)[:, :, skip : skip + self.grid.rows * self.grid.window]
            fresh = self.grid.split(dense.contiguous()).squeeze(2)
            if self.confidence is None:
                self.confidence = fresh
            elif self._masked:
                local, shared = self._masks
                idle = local & shared.all(1)
                self.confidence = torch.where(idle[:, None], self.confidence, fresh)
            else:
                self.confidence = with_rows(self.confidence, touched, fresh[touched])
        else:
            fresh = estimator.on_windows(self.tokens, self.grid, touched, above, below)
            self.confidence = with_rows(self.confidence, touched, fresh)
        self.score = self.score + self.confidence  # Eq. 18

    def record(self) -> None:
        """Keep what happened in the layer that has just been computed."""
        self.records.append(LayerRecord(self.confidence, *self._masks))

    @property
    def traces(self) -> tuple[LayerTrace, ...]:
        """The traces of all layers so far."""
        return layer_traces(self.grid, self.records)

    def edge(self, *, top: bool) -> Tensor:
        """A copy of the first or the last rows, (b, c, 2, w)."""
        grid = self.grid
        rows = self.tokens.view(grid.batch, grid.rows, grid.columns, grid.window, grid.window, -1)[
            :, 0 if top else -1
        ]  # (b, columns, S, S, c)
        rows = rows[:, :, :REACH] if top else rows[:, :, -REACH:]
        return rows.permute(0, 4, 2, 1, 3).flatten(3).clone()


def sparse_layer(
    block: TSAB,
    estimator: ConfidenceEstimator | None,
    bands: Iterable[TokenBand],
    threshold: float,
    chunk: int,
) -> Iterator[TokenBand]:
    """Run one layer over bands, in order from top to bottom.

    Args:
        block: What to run.
        estimator: What tells how well tokens are restored; None where no one needs to know.
        bands: As the layer before lets them go.
        threshold: The score at which tokens and windows halt.
        chunk: Windows computed at a time.
    """
    waiting: TokenBand | None = None
    above: Tensor | None = None
    for band in bands:
        band.compute(block, threshold, chunk)
        if estimator is None:
            band.record()
            yield band
            continue
        if waiting is not None:
            last_rows = waiting.edge(top=False)
            waiting.estimate(estimator, above, band.edge(top=True))
            waiting.record()
            yield waiting
            above = last_rows
        waiting = band
    if estimator is not None and waiting is not None:
        waiting.estimate(estimator, above, None)
        waiting.record()
        yield waiting


def watched(bands: Iterable[TokenBand], layer_end: nn.Module) -> Iterator[TokenBand]:
    """Pass on bands, each by way of a module that does nothing and can be watched."""
    for band in bands:
        layer_end(band.features)
        yield band
