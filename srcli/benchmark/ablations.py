"""Networks of AdaFormer's ablations (AdaFormer, Tabs. 3 and 4), with weights a person has trained.

Each is trained by the configuration of its name in srcli/training/configs/ablation.
"""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

import srcli
from srcli.errors import WeightsError
from srcli.inference.network import LoadedNetwork
from srcli.models import adaformer_s
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.spec import ModelSpec
from srcli.weights import best_scale
from srcli.weights.load import read_weights
from srcli.weights.local_files import file_of
from srcli.weights.manifest_file import read_manifest

__all__ = ["ABLATIONS", "ablation_spec", "load_ablation", "training_command"]

_SCALE = 4
_WHOLE = adaformer_s.configuration(_SCALE)

ABLATIONS: Mapping[str, AdaFormerConfig] = {
    "local-branch": replace(_WHOLE, prototypes=0, masks="none"),
    "both-branches": replace(_WHOLE, masks="none"),
    "local-mask": replace(_WHOLE, masks="local"),
    "both-masks": _WHOLE,
    "unshared": replace(_WHOLE, shared_estimator=False),
    "increment": _WHOLE,
    "ponder": _WHOLE,
}
"""Networks by the names of their training configurations; the last two differ in the loss alone."""


def ablation_spec(name: str) -> ModelSpec:
    """Spec of an ablation's network; its efforts are adaformer-s's."""

    def build(_: int) -> AdaFormer:
        return AdaFormer(ABLATIONS[name])

    return replace(adaformer_s.SPEC, name=name, scales=(_SCALE,), build=build)


def load_ablation(name: str, folder: Path, device: torch.device) -> LoadedNetwork | None:
    """The network of an ablation with its weights, in fp32; None if they are not there.

    Args:
        name: A key of `ABLATIONS`.
        folder: In which its training wrote to a folder of that name, as `training_command` says.
        device: Where to compute.

    Raises:
        WeightsError: They are not what their manifest says, or do not fit the network.
    """
    path = folder / name / f"ablation-{name}.manifest.toml"
    if not path.is_file():
        return None
    entries = read_manifest(path, path.parent)
    if len(entries) != 1:
        raise WeightsError(
            f"{path} describes {len(entries)} weights files, and may describe 1; hint: "
            f"{training_command(name, folder)} writes it again"
        )
    spec = ablation_spec(name)
    parameters = read_weights(entries[0], spec.build(_SCALE).shapes_with)
    return LoadedNetwork.of_parameters(
        spec, _SCALE, parameters, device, torch.float32, fingerprint=entries[0].sha256
    )


def training_command(name: str, folder: Path) -> str:
    """The command that trains an ablation into a folder; PHOTOS stands for photographs."""
    config = Path(srcli.__file__).parent / "training" / "configs" / "ablation" / f"{name}.toml"
    start = file_of(best_scale("adaformer-s", _SCALE))
    files = (shlex.quote(str(path)) for path in (_from_here(config), _from_here(start)))
    return "srcli train {} --init {} --data PHOTOS -o {}".format(
        *files, shlex.quote(str(folder / name))
    )


def _from_here(path: Path) -> Path:
    """A path below the current folder, without that folder; any other as it is."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
