"""Select the metadata that go from input to output."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from srcli.media.exif import without_gps
from srcli.media.image import Metadata
from srcli.media.xmp import without_gps_xmp

__all__ = ["MetadataPolicy"]

_PLACE_KEY = re.compile(
    "location|gps|geo|xyz|latitude|longitude|altitude|city|country"
    r"|\b(state|province|place|region|landmark|xmp)\b",
    re.IGNORECASE,
)
_ISO_6709 = re.compile(r"\s*[+-]\d{2,}(\.\d+)?[+-]\d{3,}")


@dataclass(frozen=True)
class MetadataPolicy:
    """Choice of metadata to keep; what describes colours is always kept.

    Args:
        strip: Drop all but what the colours are.
        gps: Keep where the image was taken.
        times: Give results the modification time of their input.
    """

    strip: bool = False
    gps: bool = True
    times: bool = False

    @property
    def label(self) -> str:
        """For the journal; times are not in it, since they can be given without upscaling again."""
        return "stripped" if self.strip else "kept" if self.gps else "no-gps"

    @property
    def keeps_places(self) -> bool:
        """True if locations may be kept."""
        return self.gps and not self.strip

    def tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Select the tags of a clip, or of one of its streams, that go into its result."""
        if self.strip:
            return {key: value for key, value in tags.items() if key.lower() == "language"}
        if self.gps:
            return dict(tags)
        return {
            key: value
            for key, value in tags.items()
            if not _PLACE_KEY.search(key) and not _ISO_6709.match(value)
        }

    def applied(self, metadata: Metadata) -> Metadata:
        """Select the metadata of an image that go into its result."""
        if self.strip:
            return Metadata(icc=metadata.icc, colour=metadata.colour, cicp=metadata.cicp)
        if self.gps:
            return metadata
        return replace(
            metadata,
            exif=without_gps(metadata.exif) if metadata.exif else None,
            xmp=without_gps_xmp(metadata.xmp) if metadata.xmp else None,
            iptc=None,  # it, and what anybody wrote freely, may name places in ways of their own
            comments=None,
            texts=None,
        )
