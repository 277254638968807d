"""The papers' tables: what was compared, on which sets, and the figures as they stand there."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from srcli.errors import UsageError

__all__ = ["PAPER_TABLES", "Kind", "PaperFigure", "PaperRow", "PaperTable", "paper_table"]

Kind = str
"""Kind of a row: "network", or a rule for exits: unmasked, local, learned, uniform, random, and
ranked for the network's own order at the sparsity of the table's base."""


@dataclass(frozen=True)
class PaperFigure:
    """A row's figures on one set; None where the paper has none.

    Args:
        psnr: dB.
        ssim: In [0, 1].
        milliseconds: On the authors' GPU.
        gflops: As the authors count them.
    """

    psnr: float | None = None
    ssim: float | None = None
    milliseconds: float | None = None
    gflops: float | None = None


@dataclass(frozen=True)
class PaperRow:
    """A row of a table.

    Args:
        name: As the paper calls it, or what we add.
        model: srcli's name for it; "" where it needs weights that no one has published.
        kind: What is run of it.
        figures: By set.
        remark: What a reader has to know.
        trained: Its network is an ablation that a person trains; `model` is the training's name.
    """

    name: str
    model: str
    kind: Kind = "network"
    figures: dict[str, PaperFigure] = field(default_factory=dict[str, PaperFigure])
    remark: str = ""
    trained: bool = False


@dataclass(frozen=True)
class PaperTable:
    """A table or figure of a paper.

    Args:
        name: As the command line takes it.
        title: What it shows.
        sets: Of the paper, and first those that we add since they are small.
        rows: In the paper's order.
        base: The row that times are relative to.
        sparsity: It shows what halts, layer by layer.
        draws: Its images are drawn, with their confidence and masks.
        ablations: Its rows where each has a network that was trained for it; () for most tables.
    """

    name: str
    title: str
    sets: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    base: str
    sparsity: bool = False
    draws: bool = False
    ablations: tuple[PaperRow, ...] = ()

    @property
    def base_row(self) -> PaperRow:
        """The row that others are relative to."""
        return next(row for row in self.rows if row.name == self.base)

    def of_ablations(self) -> "PaperTable":
        """The table whose rows each have a network trained for it.

        Raises:
            UsageError: No row of it is trained.
        """
        if not self.ablations:
            have = ", ".join(one.name for one in PAPER_TABLES.values() if one.ablations)
            raise UsageError(
                f"{self.name} compares no trained ablations, so that --weights-folder has no use "
                f"(have {have}); hint: leave it out"
            )
        title = f"{self.title}, a network trained for each row"
        return replace(self, title=title, rows=self.ablations)


def _row(
    name: str, model: str, sets: tuple[str, ...], *figures: tuple[float | None, ...],
    remark: str = "",
) -> PaperRow:  # fmt: skip
    pairs = zip(sets, figures, strict=True) if figures else ()
    return PaperRow(name, model, "network", {s: PaperFigure(*f) for s, f in pairs}, remark)


_LARGE = ("DIV2K", "Test2K", "Test4K", "Test8K")
_SMALL = ("Set5", "Set14", "B100", "Urban100")
_OURS = "srcli's weights, trained on 332 images"
_NO_LATENCY = None

_TAB1 = (
    _row("SwinIR-light", "swinir-light", _LARGE, (30.60, 0.8427, 934.96), (27.69, 0.7786, 466.48),
         (29.11, 0.8249, 2103.71), (35.04, 0.8969, 11766.19)),
    _row("ELAN-light", "elan-light", _LARGE, (30.60, 0.8417, 147.26), (27.69, 0.7778, 82.61),
         (29.12, 0.8246, 300.31), (35.08, 0.8970, 1636.38)),
    _row("N-Gram", "ngswin", _LARGE, (30.60, 0.8418, 345.0), (27.70, 0.7780, 508.15),
         (29.10, 0.8245, 1908.14), (35.08, 0.8971, 3441.76)),
    _row("AdaFormer", "adaformer-published", _LARGE, (30.63, 0.8424, 112.35),
         (27.70, 0.7782, 71.99), (29.15, 0.8252, 257.94), (35.13, 0.8974, 1355.34)),
    _row("adaformer", "adaformer", _LARGE, remark=_OURS),
)  # fmt: skip

_TAB2 = (
    _row("IMDN", "imdn", _SMALL, (32.21, 0.9605, 8.40), (28.58, 0.7811, 8.78),
         (27.56, 0.7353, 6.92), (26.04, 0.7838, 12.22)),
    _row("LAPAR-A", "lapar-a", _SMALL, (32.15, 0.8944, 12.28), (28.61, 0.7818, 17.75),
         (27.61, 0.766, 12.89), (26.14, 0.7871, 37.14)),
    _row("RFDN", "rfdn-l", _SMALL, (32.28, 0.8957, 44.22), (28.61, 0.7818, 19.55),
         (27.58, 0.7363, 17.96), (26.20, 0.7883, 29.55),
         remark="the paper's figures are RFDN-L's, whose weights are not public"),
    _row("RFDN (AIM 2020)", "rfdn", _SMALL, remark="the entry whose weights are public"),
    _row("RLFN", "rlfn", _SMALL, (32.24, 0.8952, _NO_LATENCY), (28.62, 0.7813, _NO_LATENCY),
         (27.60, 0.7364, _NO_LATENCY), (26.17, 0.7877, _NO_LATENCY)),
    _row("ETDS", "etds", _SMALL, (31.69, 0.8889, 11.19), (28.31, 0.7751, 11.39),
         (27.37, 0.7302, 13.22), (25.47, 0.7643, 8.49)),
    _row("SwinIR-light", "swinir-light", _SMALL, (32.44, 0.8976, 54.41), (28.77, 0.7858, 79.83),
         (27.69, 0.7406, 64.02), (26.47, 0.7980, 202.21)),
    _row("ESRT", "esrt", _SMALL, (32.19, 0.8947, 22.75), (28.69, 0.7833, 26.60),
         (27.69, 0.7379, 21.54), (26.39, 0.7962, 88.22)),
    _row("ELAN-light", "elan-light", _SMALL, (32.43, 0.8975, 36.06), (28.78, 0.7858, 29.52),
         (27.69, 0.7406, 27.06), (26.54, 0.7982, 59.11)),
    _row("N-Gram", "ngswin", _SMALL, (32.33, 0.8963, 82.76), (28.78, 0.7859, 116.05),
         (27.66, 0.7396, 96.26), (26.45, 0.7963, 238.51)),
    _row("AdaFormer", "adaformer-published", _SMALL, (32.43, 0.8974, 22.28),
         (28.80, 0.7858, 25.28), (27.70, 0.7407, 20.87), (26.48, 0.7982, 55.05)),
    _row("adaformer", "adaformer", _SMALL, remark=_OURS),
)  # fmt: skip

_ABLATED = ("Set5", "Set14", "B100", "Test4K")  # the paper: Test4K alone
_AT_EQUAL = " at equal sparsity"  # that of the table's base, in each image


def _ablation(
    name: str, kind: Kind, training: str, psnr: float, milliseconds: float, gflops: float
) -> tuple[PaperRow, ...]:
    """A row by a rule for the exits of `adaformer`, and by a network trained for it.

    Args:
        name: As the paper calls it.
        kind: The rule; "network": there is none.
        training: Its configuration in srcli/training/configs/ablation.
        psnr: dB.
        milliseconds: On the authors' GPU.
        gflops: As the authors count them.
    """
    figures = {"Test4K": PaperFigure(psnr, None, milliseconds, gflops)}
    trained = PaperRow(name, training, "network", figures, trained=True)
    if kind == "network":
        return trained, trained
    again = replace(trained, kind=kind if kind in ("uniform", "random") else "network")
    return PaperRow(name, "adaformer", kind, figures), again


def _at_equal_sparsity(rows: Sequence[PaperRow], *names: str) -> tuple[PaperRow, ...]:
    """Rows, and after each of those named the same at equal sparsity; the paper has no figures."""
    return tuple(
        one
        for row in rows
        for one in (row, PaperRow(row.name + _AT_EQUAL, row.model, "ranked", trained=True))
        if one is row or row.name in names
    )


_TAB3 = (
    _ablation("1: local branch", "network", "local-branch", 29.03, 314.98, 654.25),
    _ablation("2: and global branch", "unmasked", "both-branches", 29.06, 406.83, 696.08),
    _ablation("3: and local mask", "local", "local-mask", 29.04, 334.69, 686.83),
    _ablation("4: and global mask", "learned", "both-masks", 29.10, 257.94, 623.51),
)
_TAB4 = (
    _ablation("uniform exit", "uniform", "both-masks", 28.78, 310.01, 671.78),
    _ablation("random exit", "random", "both-masks", 28.85, 238.10, 653.67),
    _ablation("A-ViT", "network", "ponder", 28.81, 374.87, 648.52),
    _ablation("APE", "network", "increment", 29.10, 499.45, 664.92),
    _ablation("unshared estimator", "network", "unshared", 29.09, 279.92, 666.44),
    _ablation("shared estimator", "learned", "both-masks", 29.10, 267.24, 623.51),
)
_RULES3, _TRAINED3 = zip(*_TAB3, strict=True)
_RULES4, _TRAINED4 = zip(*_TAB4, strict=True)
_ADAFORMERS = (
    PaperRow("AdaFormer", "adaformer-published"),
    PaperRow("adaformer", "adaformer", remark=_OURS),
)
_DRAWS = "--out FOLDER draws each image so; srcli visualize-mask IMAGE draws every layer"
_NO_TABLE = "figures of Pure-Pass are not at hand: we have its abstract alone"
_PURE = (
    _row("ATD-light", "atd-light", _SMALL, (32.63, 0.8998), (28.89, 0.7886), (27.79, 0.7440),
         (26.97, 0.8107)),
    PaperRow("CAMixer-ATD-light", "camixer-atd-light", remark=_NO_TABLE),
    PaperRow("PP-ATD-light", "pp-atd-light", remark=_NO_TABLE),
)  # fmt: skip

PAPER_TABLES = {
    table.name: table
    for table in (
        PaperTable("adaformer-tab1", "AdaFormer, Tab. 1: transformers on large images, x4",
                   _LARGE, _TAB1, "adaformer"),
        PaperTable("adaformer-tab2", "AdaFormer, Tab. 2: efficient networks, x4",
                   _SMALL, _TAB2, "adaformer"),
        PaperTable("adaformer-tab3", "AdaFormer, Tab. 3: branches and masks, x4",
                   _ABLATED, _RULES3, "4: and global mask",
                   ablations=_at_equal_sparsity(_TRAINED3, "3: and local mask")),
        PaperTable("adaformer-tab4", "AdaFormer, Tab. 4: early exits, x4",
                   _ABLATED, _RULES4, "shared estimator",
                   ablations=_at_equal_sparsity(_TRAINED4, "A-ViT", "APE", "unshared estimator")),
        PaperTable("adaformer-fig4", "AdaFormer, Fig. 4: halted by layer, x4",
                   ("Set14", "Test4K"), _ADAFORMERS, "adaformer", sparsity=True),
        PaperTable("adaformer-fig6", "AdaFormer, Fig. 6: what halts and where, x4",
                   ("Set14", "Test4K"),
                   (_ADAFORMERS[0], replace(_ADAFORMERS[1], remark=f"{_OURS}; {_DRAWS}")),
                   "adaformer", sparsity=True, draws=True),
        PaperTable("pure-pass-tab1", "Pure-Pass, Tab. 1: ATD-light and what spares it work, x4",
                   _SMALL, _PURE, "ATD-light"),
    )
}  # fmt: skip


def paper_table(name: str) -> PaperTable:
    """A table by its name.

    Raises:
        UsageError: There is no such table.
    """
    if name not in PAPER_TABLES:
        raise UsageError(f"no table named {name!r} (have {', '.join(PAPER_TABLES)})")
    return PAPER_TABLES[name]
