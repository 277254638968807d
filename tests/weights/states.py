"""Parameters of untrained networks, as srcli and as the authors of ATD name them."""

import re

import torch
from torch import Tensor

from srcli.models import model_spec

CPU = torch.device("cpu")


def state(model: str, scale: int, seed: int = 0) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return dict(model_spec(model).build(scale).state_dict())


def theirs(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """ATD-light's parameters under its authors' names, by the inverse of our map of them."""
    turned = {}
    for ours, tensor in tensors.items():
        name = ours.replace("groups.", "layers.", 1) if ours.startswith("groups.") else ours
        for old, new in (
            ("head.", "conv_first."), ("norm_in.", "patch_embed.norm."), ("norm_out.", "norm."),
            ("fuse.", "conv_after_body."), ("tail.", "upsample.0."),
            (".entries", ".residual_group.td"),
        ):  # fmt: skip
            if name.startswith(old) or (old.startswith(".") and name.endswith(old)):
                name = name.replace(old, new, 1)
        name = re.sub(r"^(layers\.\d+)\.layers\.", r"\1.residual_group.layers.", name)
        for old, new in (
            (".window.bias_table", ".attn_win.relative_position_bias_table"),
            (".window.", ".attn_win."), (".dictionary.scale", ".attn_atd.scale"),
            (".category.", ".attn_aca."), (".qkv.", ".wqkv."), (".refine.norm.", ".norm3."),
            (".refine.sigma", ".sigma"), (".ffn.depthwise.", ".convffn.dwconv.depthwise_conv.0."),
            (".ffn.", ".convffn."),
        ):  # fmt: skip
            name = name.replace(old, new)
        turned[re.sub(r"\.dictionary\.([qkv])", r".attn_atd.w\1", name)] = tensor
    return turned
