"""PIL images and tensors in and out of the Python API."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from srcli import Upscaler
from srcli.errors import SrcliError
from srcli.inference.argument_types import require_types


@pytest.fixture(scope="module")
def upscaler():
    return Upscaler(model="adaformer-s", scale=2, device="cpu", effort="fast")


def test_a_pil_image_keeps_profile_exif_and_resolution(upscaler):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[305] = "a program"
    image = Image.new("RGB", (10, 6), (200, 60, 50))
    image.info |= {"icc_profile": profile, "exif": exif.tobytes(), "dpi": (300, 300), "own": 1}
    assert upscaler(image).info == image.info


def test_a_pil_image_is_made_upright(upscaler):
    source = Image.new("RGB", (12, 6), (10, 20, 30))
    source.paste((250, 240, 230), (0, 0, 4, 6))
    out, exif = io.BytesIO(), Image.Exif()
    exif[274] = 6
    source.save(out, "PNG", exif=exif)
    result = upscaler(Image.open(out))
    assert result.size == (12, 24)
    assert result.getexif().get(274, 1) == 1
    assert np.asarray(result)[2].mean() > 200 > np.asarray(result)[-2].mean()  # its left is up


@pytest.mark.parametrize(
    ("mode", "colour", "key", "expected"),
    [("L", 9, 9, "LA"), ("RGB", (9, 8, 7), (9, 8, 7), "RGBA"), ("P", 0, 0, "RGBA"),
     ("1", 1, 255, "LA")],
)  # fmt: skip
def test_key_colours_become_alpha(upscaler, mode, colour, key, expected):
    image = Image.new(mode, (8, 8), colour)
    image.info["transparency"] = key
    result = upscaler(image)
    assert result.mode == expected
    assert "transparency" not in result.info
    assert np.asarray(result)[..., -1].max() == 0


@pytest.mark.parametrize(("mode", "expected"), [("La", "LA"), ("RGBa", "RGBA"), ("CMYK", "RGB")])
def test_modes_that_are_no_plain_colours(upscaler, mode, expected):
    base = {"La": "LA", "RGBa": "RGBA", "CMYK": "RGB"}[mode]
    assert upscaler(Image.new(base, (8, 8)).convert(mode)).mode == expected


@pytest.mark.parametrize("values", [200.0, -0.5, 1.01])
@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray, torch.from_numpy])
def test_floats_outside_their_range_are_refused_with_it(upscaler, values, kind):
    with pytest.raises(SrcliError, match=r"\[0, 1\]"):
        upscaler(kind(np.full((8, 8), values, np.float32)))


@pytest.mark.parametrize("shape", [(8, 6), (1, 8, 6), (3, 8, 6), (4, 8, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.uint8])
def test_tensors_come_back_as_tensors(upscaler, shape, dtype):
    tensor = (torch.rand(shape) * (255 if dtype == torch.uint8 else 1)).to(dtype)
    result = upscaler(tensor)
    assert (result.dtype, result.device) == (dtype, tensor.device)
    assert result.shape == (*shape[:-2], 16, 12)
    if dtype == torch.uint8 and shape == (3, 8, 6):
        expected = upscaler(tensor.permute(1, 2, 0).numpy())
        assert np.array_equal(result.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [("scale", "4"), ("scale", None), ("scale", True), ("tile", "big"), ("model", None),
     ("precision", 16), ("effort", None)],
)  # fmt: skip
def test_settings_of_a_wrong_type_are_named(name, value):
    right = {"model": "adaformer-s", "scale": 2, "precision": "auto", "effort": 0.1, "tile": None}
    require_types(**right)
    with pytest.raises(SrcliError, match=f"{name} .* is a {type(value).__name__}"):
        require_types(**{**right, name: value})


@pytest.mark.parametrize("image", [torch.zeros(2, 2, 3, 8, 8), torch.zeros(5, 8, 8)])
def test_what_is_no_image_is_refused(upscaler, image):
    with pytest.raises(SrcliError, match="not an image"):
        upscaler(image)
