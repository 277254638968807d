"""Which metadata go from input to output."""

from dataclasses import dataclass, replace

from srcli.media.exif import without_gps
from srcli.media.picture import Metadata
from srcli.media.xmp import without_gps_xmp

__all__ = ["MetadataPolicy"]


@dataclass(frozen=True)
class MetadataPolicy:
    """Which metadata are kept; the colour profile always is, without it the colours would change.

    Args:
        strip: Drop EXIF, XMP and resolution.
        gps: Keep where the picture was taken.
    """

    strip: bool = False
    gps: bool = True

    @property
    def label(self) -> str:
        """For the journal."""
        return "stripped" if self.strip else "kept" if self.gps else "no-gps"

    def applied(self, metadata: Metadata) -> Metadata:
        """What of a picture's metadata goes into its result."""
        if self.strip:
            return Metadata(icc=metadata.icc)
        if self.gps:
            return metadata
        return replace(
            metadata,
            exif=without_gps(metadata.exif) if metadata.exif else None,
            xmp=without_gps_xmp(metadata.xmp) if metadata.xmp else None,
        )
