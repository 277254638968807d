"""The finished weights as users get them: a small file, and its entry for the manifest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from srcli.models import model_names, model_spec
from srcli.models.adaformer import AdaFormerConfig
from srcli.training.checkpoint import write_whole
from srcli.training.config import TrainingConfig
from srcli.training.families import NetworkConfig, build, config_of
from srcli.training.state import TrainingState

__all__ = ["export_weights", "model_of"]


def export_weights(
    state: TrainingState, config: TrainingConfig, path: Path, psnr_y: Mapping[str, float]
) -> None:
    """Write the averaged weights in fp16 to `path`, and beside it their manifest entry.

    Args:
        state: The run at its end.
        config: What it was.
        path: The weights file to write, NAME.safetensors; the entry is NAME.manifest.toml.
        psnr_y: PSNR-Y in dB by validation set, nothing halting.

    Raises:
        OSError: It cannot be written.
    """
    half = {name: t.to(torch.float16) for name, t in state.average.state_dict().items()}
    write_whole(path, half, {"model": model_of(config.network), "scale": config.network.scale})
    entry = _manifest_entry(state, config, path.read_bytes(), psnr_y)
    path.with_suffix(".manifest.toml").write_text(entry, encoding="utf-8")


def model_of(config: NetworkConfig) -> str:
    """The network in the registry that `config` describes, "custom" if none does.

    The region is not part of it: a training patch is a region of its own.
    """
    kind = type(build(config))
    for name in model_names():
        spec = model_spec(name)
        if config.scale in spec.scales:
            network = spec.build(config.scale)
            if type(network) is kind and _comparable(config_of(network)) == _comparable(config):
                return name
    return "custom"


def _comparable(config: NetworkConfig | None) -> NetworkConfig | None:
    return replace(config, region=0) if isinstance(config, AdaFormerConfig) else config


def _manifest_entry(
    state: TrainingState, config: TrainingConfig, content: bytes, psnr_y: Mapping[str, float]
) -> str:
    """The file's entry in weights/manifest.toml."""
    data, scale = config.data, config.network.scale
    fields: dict[str, str | int] = {
        "name": config.weights.name,
        "model": model_of(config.network),
        "scale": scale,
        "file": f"{config.weights.name}.safetensors",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": config.weights.licence,
        "training_data": config.weights.training_data,
        "origin": f"{state.origin}{state.step:,} steps of {data.batch} patches of "
        f"{data.patch}x{data.patch} LR px, {state.minutes:.0f} minutes; parameters stored in fp16",
        "psnr_protocol": f"Y channel, 8-bit output, {scale} px cropped a side, effort exact, "
        "fp32, whole picture",
    }
    # A JSON string or integer is also a TOML one.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    named = {json.dumps(name, ensure_ascii=False): value for name, value in psnr_y.items()}
    figures = ", ".join(f"{name} = {value:.2f}" for name, value in named.items())
    return "\n".join(["[[weights]]", *lines, f"psnr_y = {{ {figures} }}", ""])
