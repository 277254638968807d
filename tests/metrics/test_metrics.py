"""PSNR, SSIM and operations, against independent implementations and plain counts."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn
from torch.nn import functional as F  # noqa: N812

from srcli.errors import UsageError
from srcli.metrics.flops import count_flops
from srcli.metrics.protocols import PROTOCOLS, protocol_named
from srcli.metrics.ssim import ssim


def images(seed: int, height: int = 40, width: int = 52) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hr = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    noise = rng.integers(-20, 21, hr.shape)
    return np.clip(hr.astype(int) + noise, 0, 255).astype(np.uint8), hr


def independent_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """scikit-image with the field's settings: Gaussian, valid part, population variance."""
    _, full = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, win_size=11, use_sample_covariance=False,
        data_range=255.0, full=True,
    )  # fmt: skip
    return float(full[5:-5, 5:-5].mean())


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_ssim_equals_scikit_image(seed: int):
    sr, hr = (p[..., 0].astype(np.float64) for p in images(seed))
    assert ssim(sr, hr) == pytest.approx(independent_ssim(sr, hr), abs=1e-9)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_protocols_equal_scikit_image(name: str):
    sr, hr = images(7)
    scale = 3
    border = 0 if name in ("camixer-rgb", "adaformer-y") else scale
    inner = (slice(border, 40 - border), slice(border, 52 - border))
    a, b = sr[inner].astype(np.float64), hr[inner].astype(np.float64)
    if name.endswith("-y"):
        a, b = (rgb2ycbcr(p[inner])[..., :1] for p in (sr, hr))
    quality = PROTOCOLS[name].compare(sr, hr, scale)
    assert quality.psnr == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-6)
    expected = np.mean([independent_ssim(a[..., c], b[..., c]) for c in range(a.shape[2])])
    assert quality.ssim == pytest.approx(expected, abs=1e-6)


def test_equal_images():
    _, hr = images(1)
    quality = PROTOCOLS["rgb"].compare(hr, hr, 2)
    assert quality.psnr == math.inf
    assert quality.ssim == pytest.approx(1.0)


def test_refusals():
    sr, hr = images(1)
    with pytest.raises(ValueError, match=r"SR is 51x40 px and HR 52x40"):
        PROTOCOLS["rgb"].compare(sr[:, :-1], hr, 2)
    with pytest.raises(ValueError, match="smaller than SSIM's window"):
        PROTOCOLS["basicsr-y"].compare(sr[:18], hr[:18], 4)
    with pytest.raises(UsageError, match=r"no protocol named 'y' \(have basicsr-y"):
        protocol_named("y")


@torch.no_grad()
def test_operations_of_known_parts():
    conv = nn.Conv2d(3, 5, 3, padding=1)
    flops, out = count_flops(lambda: conv(torch.zeros(1, 3, 8, 6)))
    assert flops == 2 * 8 * 6 * 3 * 5 * 9
    assert out.shape == (1, 5, 8, 6)
    q = torch.zeros(2, 4, 10, 16)
    bias = torch.zeros(1, 4, 10, 10)
    flops, _ = count_flops(lambda: F.scaled_dot_product_attention(q, q, q, attn_mask=bias))
    assert flops == 2 * (2 * 4 * 10 * 10 * 16) * 2
