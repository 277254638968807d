"""Manifest entry of one weights file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

__all__ = ["Source", "WeightsEntry"]


class Source(StrEnum):
    """Where a weights file comes from."""

    BOX = "in the box"
    DOWNLOAD = "download"
    FOLDER = "yours"
    BY_HAND = "by hand"


@dataclass(frozen=True)
class WeightsEntry:
    r"""One weights file.

    Args:
        name: File name without suffix.
        model: The network it is for, by its name in the registry.
        scale: The scale it was trained for.
        file: File name; for a published checkpoint (`converted`) as its publisher has it.
        size: Bytes; 0 if not known.
        sha256: Of the whole file, hexadecimal; empty if nobody has published it.
        licence: SPDX expression, or in words.
        training_data: What it was trained on, with attribution.
        origin: How the file was made.
        psnr_protocol: How `psnr_y` was measured.
        psnr_y: Measured PSNR-Y in dB by data set, in effort `exact`.
        variant: The name by which `-m` finds it; empty for a network's standard weights, which
            the network's own name finds.
        also_for: Other networks that take the same parameters.
        urls: Where it can be downloaded, the first that answers; none for a shipped file.
        page: Where people get it who made no direct download of it.
        page_file: What the file is called there.
        psnr_published: PSNR-Y in dB by data set, as its authors or the network's paper have it.
        published_by: Where that is written.
        teacher: Weights whose outputs it was trained on, with their sha256 and licence.
        git_blob: SHA-1 of `blob <size>\0` and the file, as a git repository's tree names it.
        recommended: Whether `srcli weights download recommended` means it.
        folder: Where the file lies, for files that are neither shipped nor downloaded.
    """

    name: str
    model: str
    scale: int
    file: str
    size: int
    sha256: str
    licence: str
    training_data: str
    origin: str
    psnr_protocol: str
    psnr_y: Mapping[str, float] = field(default_factory=dict[str, float])
    variant: str = ""
    also_for: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    page: str = ""
    page_file: str = ""
    psnr_published: Mapping[str, float] = field(default_factory=dict[str, float])
    published_by: str = ""
    teacher: str = ""
    git_blob: str = ""
    recommended: bool = False
    folder: Path | None = None

    @property
    def source(self) -> Source:
        """Where the file comes from."""
        if self.folder is not None:
            return Source.FOLDER
        if self.urls:
            return Source.DOWNLOAD
        return Source.BY_HAND if self.page else Source.BOX

    @property
    def converted(self) -> bool:
        """True if the file is a published checkpoint, which srcli converts to safetensors."""
        return bool(self.urls) and (not self.sha256 or Path(self.file).suffix != ".safetensors")

    @property
    def hash_published(self) -> bool:
        """True if the bytes of the first download can be verified."""
        return bool(self.sha256 or self.git_blob)

    def answers_to(self, model: str) -> bool:
        """Tell if `-m model` means it."""
        if model in (self.name, self.variant):
            return True
        return not self.variant and (model == self.model or model in self.also_for)
