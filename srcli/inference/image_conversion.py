"""Convert PIL images and tensors to arrays, and results back to the kind that was passed."""

from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin
from torch import Tensor

from srcli.errors import UnreadableImage
from srcli.media import Compression
from srcli.media.compression import jpeg_quality
from srcli.media.exif import reset_exif_orientation, resized_exif
from srcli.media.format import FormatError
from srcli.media.image import Metadata
from srcli.media.orientation import orientation_by_number
from srcli.media.pillow_image import to_rgb
from srcli.media.xmp import reset_xmp_orientation, resized_xmp, without_absent_parts

__all__ = ["AnyImage", "compression_of", "to_array", "to_input_kind"]

Pixels = NDArray[Any]
AnyImage = TypeVar("AnyImage", bound=Pixels | Image.Image | Tensor)

_ORIENTATION = 274
_EXIF_PREFIX = b"Exif\0\0"
_MOST_16_BITS = 65535
_ARRAY_MODES = ("L", "LA", "RGB", "RGBA", "F")


def to_array(image: Pixels | Image.Image | Tensor) -> Pixels:
    """Convert an image to an array (h, w) or (h, w, c).

    A PIL image is made upright by its EXIF orientation; CMYK goes through its profile, and a key
    colour becomes alpha, as on the command line.

    Args:
        image: An array, returned as it is; a PIL image; or a tensor (h, w) or (c, h, w).

    Raises:
        UnreadableImage: It is none of these, or its values are not those of an image.
    """
    if isinstance(image, Image.Image):
        values = _values(_rgb(image)[0])
        planes = values if values.ndim == 3 else values[..., None]
        upright = orientation_by_number(_orientation(image)).apply(planes)
        return upright if values.ndim == 3 else upright[..., 0]
    if isinstance(image, Tensor):
        if image.is_complex() or image.ndim not in (2, 3):
            raise UnreadableImage(
                f"a tensor of {image.dtype} and shape {tuple(image.shape)} is not an image: "
                "pass (h, w) or (1 to 4, h, w)"
            )
        values = image.detach().cpu()
        values = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
        return (values if values.ndim == 2 else values.permute(1, 2, 0)).numpy()
    return image


def to_input_kind(result: Pixels, like: AnyImage) -> AnyImage:
    """Convert (H, W, c) to the kind of image that was passed.

    A PIL image keeps what `Image.resize` keeps: all of `info`, whose profile, orientation and sizes
    are those of the result.
    """
    flat = result[..., 0] if result.shape[2] == 1 else result
    if isinstance(like, Image.Image):
        image = Image.fromarray(flat)
        image.info = _info(like, image.size)
        return cast("AnyImage", image)
    if isinstance(like, Tensor):
        tensor = torch.from_numpy(np.ascontiguousarray(result)).permute(2, 0, 1)
        tensor = tensor[0] if like.ndim == 2 else tensor
        return cast("AnyImage", tensor.to(like.device, like.dtype))
    return cast("AnyImage", flat if like.ndim == 2 else result)


def compression_of(image: object) -> Compression:
    """Compression of an image's pixels, as far as it tells: a PIL image opened from a JPEG."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return Compression("JPEG", jpeg_quality(image.quantization))
    return Compression()


def _orientation(image: Image.Image) -> int:
    number = image.getexif().get(_ORIENTATION, 1)
    return number if isinstance(number, int) else 1


def _rgb(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """The image, inks brought to RGB through their profile; and the profile that it then has."""
    profile = image.info.get("icc_profile")
    try:
        converted, metadata, _ = to_rgb(image, Metadata(icc=profile))
    except (ImageCms.PyCMSError, OSError) as error:
        raise UnreadableImage(
            f"its colour profile cannot be used ({error}); drop info['icc_profile'] first"
        ) from error
    return converted, metadata.icc


def _info(source: Image.Image, size: tuple[int, int]) -> dict[Any, Any]:
    """The `info` of a result: all of the source's, adapted to its size."""
    info: dict[Any, Any] = {k: v for k, v in source.info.items() if k != "transparency"}
    if source.mode in ("CMYK", "LAB"):
        icc = _rgb(source.resize((1, 1)))[1]
        info.pop("icc_profile", None)
        info |= {"icc_profile": icc} if icc else {}
    if isinstance(exif := info.get("exif"), bytes):
        prefix = _EXIF_PREFIX if exif.startswith(_EXIF_PREFIX) else b""
        block = reset_exif_orientation(exif.removeprefix(prefix))
        try:
            info["exif"] = prefix + resized_exif(block, *size) if block else exif
        except FormatError:
            info["exif"] = exif
    if isinstance(xmp := info.get("xmp"), bytes):
        info["xmp"] = resized_xmp(without_absent_parts(reset_xmp_orientation(xmp)), *size)
    turned = orientation_by_number(_orientation(source)).swap
    if turned and isinstance(dpi := info.get("dpi"), tuple):
        info["dpi"] = dpi[::-1]
    return info


def _values(image: Image.Image) -> Pixels:
    """The values of a PIL image, brought to colours where they are something else."""
    if image.mode.startswith("I"):  # 16 bit in some byte order, or 32, of which 16 may be used
        values = np.asarray(image)
        if values.size and (values.min() < 0 or values.max() > _MOST_16_BITS):
            raise UnreadableImage(
                f"an image of mode {image.mode} with values from {values.min()} to "
                f"{values.max()} is not an image: bring it to 0 to {_MOST_16_BITS}"
            )
        return values.astype(np.uint16)
    if image.mode == "La":
        return np.asarray(image.convert("LA"))
    if image.has_transparency_data and image.mode not in ("LA", "RGBA"):
        return np.asarray(image.convert("LA" if image.mode in ("1", "L") else "RGBA"))
    if image.mode in _ARRAY_MODES:
        return np.asarray(image)
    return np.asarray(image.convert("L" if image.mode == "1" else "RGB"))
