"""Parameters of untrained networks, as srcli names them and as some networks' authors do."""

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


def published_swinir(scale: int = 4, seed: int = 0) -> dict[str, Tensor]:
    """SwinIR-light's parameters under its authors' names, with the tables that their file has."""
    turned: dict[str, Tensor] = {}
    for ours, tensor in state("swinir-light", scale, seed).items():
        name = re.sub(r"^groups\.(\d+)\.layers\.", r"layers.\1.residual_group.blocks.", ours)
        name = re.sub(r"^groups\.", "layers.", name)
        for old, new in (
            ("head.", "conv_first."), ("norm_in.", "patch_embed.norm."), ("norm_out.", "norm."),
            ("fuse.", "conv_after_body."), ("tail.", "upsample.0."),
        ):  # fmt: skip
            name = new + name.removeprefix(old) if name.startswith(old) else name
        for old, new in (
            (".window.bias_table", ".attn.relative_position_bias_table"),
            (".window.proj.", ".attn.proj."), (".qkv.", ".attn.qkv."),
        ):  # fmt: skip
            name = name.replace(old, new)
        turned[name] = tensor
    for group in range(4):
        for layer in range(6):
            block = f"layers.{group}.residual_group.blocks.{layer}"
            index = torch.arange(64 * 64).view(64, 64) % 225
            turned[f"{block}.attn.relative_position_index"] = index
            if layer % 2:
                turned[f"{block}.attn_mask"] = torch.zeros(64, 64, 64)
    return turned


def published_adaformer(scale: int = 4, seed: int = 0) -> dict[str, Tensor]:
    """A state dict as the authors of AdaFormer save it, of random numbers: unused parts, too."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *weight: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = weight, weight[:1]

    for name in ("sub_mean", "add_mean"):
        layer(name, 3, 3, 1, 1)
    layer("head.0", 64, 3, 3, 3)
    layer("tail.0", 3 * scale**2, 64, 3, 3)
    for stack in ("shollow_feature_extraction", "deep_feature_extraction"):
        for number in range(8):
            layer(f"{stack}.{number}.body.0", 64, 64, 3, 3)
            layer(f"{stack}.{number}.body.2", 64, 64, 3, 3)
    for name, weight in {
        "embed": (64, 64, 1, 1), "unembed": (64, 64, 1, 1), "var.0": (32, 64, 3, 3),
        "var.2": (1, 32, 3, 3),
    }.items():  # fmt: skip
        layer(f"body.{name}", *weight)
    for number in range(6):
        block = f"body.blocks.{number}"
        for name, weight in {
            "norm1": (64,), "norm2": (64,), "mlp.fc1": (128, 64), "mlp.fc2": (64, 128),
            "attn.qkv": (192, 64), "attn.qkv_local": (192, 64), "attn.kv_global": (128, 64),
            "attn.proj": (64, 64), "attn.norm1": (64,), "attn.norm2": (64,), "attn.norm3": (64,),
            "project_out": (64, 64, 1, 1),
        }.items():  # fmt: skip
            layer(f"{block}.{name}", *weight)
        shapes[f"{block}.attn.prototype"] = (1, 16, 64)
        shapes[f"{block}.attn.relative_position_bias_table"] = (225, 4)
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: torch.randn(shape, generator=generator) * (0.02 if len(shape) == 4 else 0.1)
        for name, shape in shapes.items()
    }
    for number in range(6):
        index = torch.arange(64 * 64).view(64, 64) % 225
        tensors[f"body.blocks.{number}.attn.relative_position_index"] = index
    return tensors
