"""Projections of every pixel of (b, h, w, c), and what stands before and after them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

__all__ = ["NormedProjection", "of_each_pixel", "shift_by_one"]

_EPS = 1e-5  # added to variances


def shift_by_one(x: Tensor) -> Tensor:
    """Move the channels of (b, h, w, c), in five equal parts, by one pixel; zeros enter.

    The first part shows each pixel its right neighbour, the second the left, the third the one
    below, the fourth the one above; the fifth stays (ELAN, Sec. 3.2).
    """
    fifth = x.shape[3] // 5
    shifted = torch.empty_like(x)
    right, left, below, above, own = (slice(n * fifth, (n + 1) * fifth) for n in range(5))
    shifted[:, :, :-1, right] = x[:, :, 1:, right]
    shifted[:, :, 1:, left] = x[:, :, :-1, left]
    shifted[:, :-1, :, below] = x[:, 1:, :, below]
    shifted[:, 1:, :, above] = x[:, :-1, :, above]
    shifted[..., own] = x[..., own]
    shifted[:, :, -1, right] = shifted[:, :, 0, left] = 0.0
    shifted[:, -1, :, below] = shifted[:, 0, :, above] = 0.0
    return shifted


def of_each_pixel(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a 1x1 convolution to (b, h, w, c), as a matrix product of all pixels."""
    return F.linear(x, convolution.weight.flatten(1), convolution.bias)


class NormedProjection(nn.Module):
    """A 1x1 convolution and batch normalisation of its outputs, by statistics that stay fixed.

    Args:
        inputs: Channels it takes.
        outputs: Channels it gives.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv2d(inputs, outputs, 1)
        self.weight = nn.Parameter(torch.ones(outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("running_mean", torch.zeros(outputs))
        self.register_buffer("running_var", torch.ones(outputs))
        self.result_dtype = torch.float32

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, h, w, inputs) to (b, h, w, outputs) with one matrix for both."""
        assert self.linear.bias is not None
        gain = self.weight * (self.running_var + _EPS).rsqrt()
        weight = self.linear.weight.flatten(1) * gain[:, None]
        bias = (self.linear.bias - self.running_mean) * gain + self.bias
        return F.linear(x, weight.to(self.result_dtype), bias.to(self.result_dtype))

    def reference(self, x: Tensor) -> Tensor:
        """Do one after the other; gives what `forward` gives."""
        y = of_each_pixel(self.linear, x).permute(0, 3, 1, 2)
        mean, variance = self.running_mean, self.running_var
        return F.batch_norm(y, mean, variance, self.weight, self.bias, eps=_EPS).permute(0, 2, 3, 1)
