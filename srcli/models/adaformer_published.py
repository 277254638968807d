"""AdaFormer as its authors published it: their weights, and their rule for halted tokens.

Code and ×4 weights: github.com/xiaotongtt/AdaFormer. Blocks there have no projection after the
attention, prototypes ask by the tokens' projection, and halted tokens pass their normalised value
on (`halted="pass"`). The network was trained with halting on from the first step: effort
"balanced" is what its published figures were measured with.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from srcli.models import adaformer
from srcli.models.spec import EXACT, Halting

__all__ = ["SPEC", "convert_authors", "from_authors"]

_NAMES = {
    r"head\.0\.": "head.",
    r"tail\.0\.": "tail.",
    r"shollow_feature_extraction\.(\d+)\.body\.0\.": r"encoder.\1.conv1.",
    r"shollow_feature_extraction\.(\d+)\.body\.2\.": r"encoder.\1.conv2.",
    r"deep_feature_extraction\.(\d+)\.body\.0\.": r"decoder.\1.conv1.",
    r"deep_feature_extraction\.(\d+)\.body\.2\.": r"decoder.\1.conv2.",
    r"body\.(embed|unembed)\.": r"\1.",
    r"body\.var\.0\.": "confidence.conv1.",
    r"body\.var\.2\.": "confidence.conv2.",
    r"body\.blocks\.(\d+)\.(norm1|norm2|mlp\.fc1|mlp\.fc2)\.": r"blocks.\1.\2.",
    r"body\.blocks\.(\d+)\.attn\.qkv_local\.": r"blocks.\1.local_branch.qkv.",
    r"body\.blocks\.(\d+)\.attn\.relative_position_bias_table$": (
        r"blocks.\1.local_branch.bias_table"
    ),
    r"body\.blocks\.(\d+)\.attn\.qkv\.": r"blocks.\1.global_branch.qkv.",
    r"body\.blocks\.(\d+)\.attn\.kv_global\.": r"blocks.\1.global_branch.kv_proto.",
    r"body\.blocks\.(\d+)\.attn\.norm1\.": r"blocks.\1.global_branch.norm.",
    r"body\.blocks\.(\d+)\.attn\.prototype$": r"blocks.\1.global_branch.prototypes",
}
_UNUSED = re.compile(
    r"(sub_mean|add_mean)\.|"
    r"body\.blocks\.\d+\.(project_out\.|attn\.(proj|norm2|norm3)\.|attn\.relative_position_index$)"
)
_RANGE = 255.0  # theirs is 0..255, ours 0..1


def from_authors(name: str) -> str | None:
    """Our name for a parameter of the authors' state dict; None for one that computes nothing.

    >>> from_authors("shollow_feature_extraction.3.body.2.bias")
    'encoder.3.conv2.bias'
    >>> from_authors("body.blocks.0.attn.norm2.weight") is None
    True
    """
    if _UNUSED.match(name):
        return None
    for theirs, ours in _NAMES.items():
        renamed, found = re.subn(f"^{theirs}", ours, name)
        if found:
            return renamed
    return name


def convert_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring the authors' parameters, under our names, to images in [0, 1] and to our shapes.

    What is scaled becomes fp32: fp16 would round it.
    """
    ours = dict(state)
    for name, value in state.items():
        if name == "head.weight":
            ours[name] = value.float() * _RANGE
        elif name in ("tail.weight", "tail.bias"):
            ours[name] = value.float() / _RANGE
        elif name.endswith(".prototypes") and value.ndim == 3 and len(value) == 1:
            ours[name] = value[0].contiguous()
    return ours


def _build(scale: int) -> adaformer.AdaFormer:
    config = adaformer.AdaFormerConfig(
        scale=scale, region=6, halted="pass", projected=False, shared_query=True
    )
    return adaformer.AdaFormer(config)


SPEC = replace(
    adaformer.SPEC,
    name="adaformer-published",
    paper="AdaFormer (AAAI 2024), as published",
    alignment=48,
    overlap=48,
    efforts={"exact": EXACT, "balanced": Halting(eps=0.05), "fast": Halting(eps=0.5)},
    build=_build,
    from_authors=from_authors,
    convert_authors=convert_authors,
)
