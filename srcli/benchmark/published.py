"""Published figures of the papers, shown beside ours; not measured by us."""

from dataclasses import dataclass

__all__ = ["Published", "published"]


@dataclass(frozen=True)
class Published:
    """PSNR in dB, SSIM (None where not given), where it is written, and how it was measured.

    Several protocols where the paper says no more than that it is the Y.
    """

    psnr: float
    ssim: float | None
    source: str
    protocols: tuple[str, ...] = ("basicsr-y",)


_ADAFORMER = "AdaFormer, Tabs. 1 and 2"
_ATD = "ATD-light, as Pure-Pass's host"
_ANY_Y = ("basicsr-y", "adaformer-y")

_OF_ADAFORMER = {
    "Set5": Published(32.43, 0.8974, _ADAFORMER),
    "Set14": Published(28.80, 0.7858, _ADAFORMER),
    "B100": Published(27.70, 0.7407, _ADAFORMER),
    "Urban100": Published(26.48, 0.7982, _ADAFORMER),
    "DIV2K": Published(30.63, None, _ADAFORMER),
    "Test2K": Published(27.70, None, _ADAFORMER, _ANY_Y),
    "Test4K": Published(29.15, None, _ADAFORMER, _ANY_Y),
    "Test8K": Published(35.13, None, _ADAFORMER, _ANY_Y),
}
_FIGURES = {
    **{("adaformer", dataset, 4): figure for dataset, figure in _OF_ADAFORMER.items()},
    **{("adaformer-published", dataset, 4): figure for dataset, figure in _OF_ADAFORMER.items()},
    ("atd-light", "Set5", 4): Published(32.63, 0.8998, _ATD),
    ("atd-light", "Set14", 4): Published(28.89, 0.7886, _ATD),
    ("atd-light", "B100", 4): Published(27.79, 0.7440, _ATD),
    ("atd-light", "Urban100", 4): Published(26.97, 0.8107, _ATD),
    ("bicubic", "Set5", 4): Published(28.42, None, "the literature"),
    ("bicubic", "Set14", 4): Published(26.00, None, "the literature"),
    ("bicubic", "B100", 4): Published(25.96, None, "the literature"),
    ("bicubic", "Set5", 2): Published(33.66, None, "the literature"),
    ("bicubic", "Set5", 3): Published(30.39, None, "the literature"),
}


def published(contender: str, dataset: str, scale: int, protocol: str) -> Published | None:
    """The published figure of a contender ("adaformer exact" is adaformer), if there is one.

    Only one that was measured by that protocol, or may have been: by another it differs by dB.

    Papers publish the network as they train it, halting and all: the figure stands beside every
    effort, but not beside the plain ways that are there for their time alone.
    """
    name, _, way = contender.partition(" ")
    if way not in ("", "exact", "balanced", "fast"):
        return None
    known = _FIGURES.get((name, dataset, scale))
    return known if known is not None and protocol in known.protocols else None
