"""Sources of a set's images, and their names in the set's folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["SetFile", "SetPart", "selfexsr"]

_SELFEXSR = "https://raw.githubusercontent.com/jbhuang0604/SelfExSR/master/"


@dataclass(frozen=True)
class SetFile:
    """One file on a server: an image, or a zip archive of images.

    Args:
        url: Its address.
        mirror_name: Where it lies below a mirror's base address.
        images: Names in the set's folder, by name in the archive, without its folders there; of
            an image its own, by "".
        size: Bytes, as published; 0 if nobody has published them.
        sha256: Hexadecimal, as published; "" if nobody has published it.
    """

    url: str
    mirror_name: str
    images: Mapping[str, str]
    size: int = 0
    sha256: str = ""

    @property
    def is_archive(self) -> bool:
        """True if images have to be unpacked."""
        return "" not in self.images


@dataclass(frozen=True)
class SetPart:
    """Files of a set for one scale.

    Args:
        folder: Below the set's folder; images and their hash list lie in it.
        files: What is asked for, in this order.
        terms: Under which terms its authors give it.
        lr_scale: LR is made of HR/NAME by MATLAB's bicubic, as LR/NAME, where it is not 0.
        side_multiple: HR px of which each side of an image is a multiple.
    """

    folder: str
    files: tuple[SetFile, ...]
    terms: str
    lr_scale: int = 0
    side_multiple: int = 1

    @property
    def image_names(self) -> list[str]:
        """All images that the server's files become."""
        return [name for file in self.files for name in file.images.values()]


def selfexsr(name: str, count: int, scales: Sequence[int]) -> dict[int, SetPart]:
    """The parts of a set in the repository of SelfExSR (Huang et al., CVPR 2015), by scale.

    It has HR cropped to a multiple of each scale. LR is not taken from there, but made: its LR
    follow an older rule at the border than the files that papers measure on, and than `downscale`.
    For a scale that it lacks, HR is that of x2, and is cropped when it is read.

    Args:
        name: The set's folder there.
        count: How many images there are.
        scales: The scales it has of them.
    """
    return {scale: _selfexsr_part(name, count, scale, scales) for scale in (2, 3, 4)}


def _selfexsr_part(name: str, count: int, scale: int, scales: Sequence[int]) -> SetPart:
    crop = scale if scale in scales else 2
    files: list[SetFile] = []
    for number in range(1, count + 1):
        path = f"data/{name}/image_SRF_{crop}/img_{number:03}_SRF_{crop}_HR.png"
        files.append(SetFile(_SELFEXSR + path, path, {"": f"HR/img_{number:03}.png"}))
    return SetPart(f"x{scale}", tuple(files), "not stated", lr_scale=scale, side_multiple=crop)
