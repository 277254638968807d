"""Ablations' weights, as their training leaves them."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save

from srcli.benchmark.ablations import ablation_spec
from srcli.weights import best_scale
from srcli.weights.load import read_weights
from srcli.weights.manifest_file import WeightsEntry, as_toml


def save_ablation(name: str, folder: Path) -> WeightsEntry:
    """Write weights and entry of an ablation, made of adaformer-s as its training begins."""
    torch.manual_seed(0)
    network = ablation_spec(name).build(4)
    network.load_state_dict(read_weights(best_scale("adaformer-s", 4)), strict=False)
    content = save({key: value.half() for key, value in network.state_dict().items()})
    path = folder / name / f"ablation-{name}.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    entry = WeightsEntry(
        f"ablation-{name}", "custom", 4, path.name, len(content),
        hashlib.sha256(content).hexdigest(), "CC0-1.0", "none", "a test", "none",
    )  # fmt: skip
    path.with_suffix(".manifest.toml").write_text(as_toml(entry))
    return entry
