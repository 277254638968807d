"""The suffixes of images and clips that srcli does not read, so that they can be counted."""

from pathlib import Path

__all__ = ["UNREAD_SUFFIXES", "is_unread_kind"]

_RAW = (
    ".3fr .ari .arw .bay .cap .cr2 .cr3 .crw .dcr .dcs .dng .drf .eip .erf .fff .gpr .iiq "
    ".k25 .kdc .mdc .mef .mos .mrw .nef .nrw .orf .ori .pef .ptx .pxn .r3d .raf .raw .rw2 "
    ".rwl .rwz .sr2 .srf .srw .x3f"
)
_EDITORS = ".afphoto .ai .clip .cdr .eps .kra .ora .pdn .psb .psd .pspimage .sketch .svg .svgz .xcf"
_OTHERS = (
    ".bpg .cin .cur .dds .djvu .dpx .emf .exr .fit .fits .flif .hdp .hdr .hej2 .ico .icns "
    ".j2c .j2k .jls .jng .jp2 .jpc .jpf .jpm .jps .jpx .jxr .mng .mpo .pam .pbm .pcd .pct "
    ".pcx .pfm .pgm .pic .pict .pns .pnm .ppm .qoi .ras .rgbe .sgi .tga .wbmp .wdp .wmf .xbm "
    ".xpm"
)
_CLIPS = ".braw .dav .insv .m2p .mjpeg .mjpg .mod .mpv .rm .rmvb .swf .wtv"

UNREAD_SUFFIXES = frozenset(f"{_RAW} {_EDITORS} {_OTHERS} {_CLIPS}".split())
"""Lower case, with their dot."""


def is_unread_kind(path: Path) -> bool:
    """Tell if the suffix is that of an image or a clip which srcli does not read.

    >>> is_unread_kind(Path("a.CR2")), is_unread_kind(Path("a.jpg")), is_unread_kind(Path("a.txt"))
    (True, False, False)
    """
    return path.suffix.lower() in UNREAD_SUFFIXES
