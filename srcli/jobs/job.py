"""One input and the file it becomes."""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ANIMATION", "CLIP", "FRAMES", "Job"]

CLIP, ANIMATION, FRAMES = "clip", "animation", "frames"
"""In place of an image's format: the job is no image; a clip's suffix says which container, and
of frames the target is their folder."""


@dataclass(frozen=True)
class Job:
    """One input and the file it becomes.

    Args:
        source: The input.
        target: The file it becomes.
        image_format: The format of that file, by which its suffix goes; or `CLIP` and the like.
        base: The output folder that it belongs to, with its tree; None: the one it lies in.
        guarded: The target is there, was named as an input, and no journal knows it for a result:
            it is not replaced.
    """

    source: Path
    target: Path
    image_format: str
    base: Path | None = field(default=None, compare=False)
    guarded: bool = field(default=False, compare=False)

    @property
    def folder(self) -> Path:
        """The output folder that keeps the journal."""
        return self.base or self.target.parent

    @property
    def inside(self) -> Path:
        """Where the output is in that folder."""
        return self.target.relative_to(self.folder)
