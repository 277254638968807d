"""The finished weights as users get them: a small file, and its entry for the manifest."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from srcli.atomic import atomic_file
from srcli.models import model_names, model_spec
from srcli.models.spec import SRNetwork
from srcli.training.checkpoint import write_whole
from srcli.training.config import TrainingConfig
from srcli.training.families import NetworkConfig, build, describe_built, family_of
from srcli.training.state import TrainingState

__all__ = ["as_exported", "export_weights", "model_of"]


def export_weights(
    state: TrainingState,
    config: TrainingConfig,
    path: Path,
    psnr_y: Mapping[str, float],
    teacher: str = "",
) -> None:
    """Write the averaged weights in fp16 to `path`, and beside it their manifest entry.

    Args:
        state: The run at its end.
        config: What it was.
        path: The weights file to write, NAME.safetensors; the entry is NAME.manifest.toml.
        psnr_y: PSNR-Y in dB by validation set of `as_exported`, nothing halting.
        teacher: Whose outputs it was trained on, with sha256 and licence; empty without one.

    Raises:
        OSError: It cannot be written.
    """
    half = _halves(state)
    write_whole(path, half, {"model": model_of(config.network), "scale": config.network.scale})
    entry = _manifest_entry(state, config, path.read_bytes(), psnr_y, teacher)
    with atomic_file(path.with_suffix(".manifest.toml")) as file:
        file.write(entry.encode())


def as_exported(state: TrainingState, config: TrainingConfig) -> SRNetwork:
    """The averaged weights as users run them: as fp16 keeps them, in the registry's network.

    Its region is not that of training, where a patch, or a whole image, is one.
    """
    model, scale = model_of(config.network), config.network.scale
    network = build(config.network) if model == "custom" else model_spec(model).build(scale)
    network.load_state_dict(_halves(state))
    return network


def model_of(config: NetworkConfig) -> str:
    """The network in the registry that `config` describes, "custom" if none does.

    The region is not part of it: a training patch is a region of its own.
    """
    kind = type(build(config))
    for name in model_names():
        spec = model_spec(name)
        if config.scale in spec.scales:
            built, theirs = describe_built(spec.build, config.scale)
            if built is kind and _comparable(theirs) == _comparable(config):
                return name
    return "custom"


def _comparable(config: NetworkConfig | None) -> NetworkConfig | None:
    return config and family_of(config).same_network(config)


def _halves(state: TrainingState) -> dict[str, Tensor]:
    """The averaged weights as they are stored."""
    return {name: t.to(torch.float16) for name, t in state.average.state_dict().items()}


def _manifest_entry(
    state: TrainingState,
    config: TrainingConfig,
    content: bytes,
    psnr_y: Mapping[str, float],
    teacher: str,
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
        "fp32, whole image",
    }
    if teacher:
        fields["teacher"] = teacher
    # A JSON string or integer is also a TOML one.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    named = {json.dumps(name, ensure_ascii=False): value for name, value in psnr_y.items()}
    figures = ", ".join(f"{name} = {value:.2f}" for name, value in named.items())
    return "\n".join(["[[weights]]", *lines, f"psnr_y = {{ {figures} }}", ""])
