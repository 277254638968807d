"""Check that a run can begin, and that srcli can run what it makes, before the first step."""

from dataclasses import asdict

import torch

from srcli.errors import UsageError
from srcli.inference.device import as_out_of_memory
from srcli.models import model_names, model_spec
from srcli.training.config import TrainingConfig
from srcli.training.export import model_of
from srcli.training.families import NetworkConfig, build, describe_built, for_patches
from srcli.training.state import TrainingState

__all__ = ["why_not_runnable", "working_state"]


def working_state(
    config: TrainingConfig, device: torch.device, images: str, teacher: str
) -> TrainingState:
    """Make the network and try it on an empty patch.

    Raises:
        UsageError: Its numbers do not go together.
    """
    patch = config.data.patch
    try:
        state = TrainingState(config, device, images, teacher)
        with as_out_of_memory(), torch.no_grad():
            for_patches(state.network, 1.0)(torch.zeros(1, 3, patch, patch, device=device), 1.0)
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"not enough memory on {device} for one patch of {patch}x{patch} LR px: lower "
            "data.patch, or make [network] smaller"
        ) from error
    except (ArithmeticError, AssertionError, IndexError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"[network] cannot be built as it stands: {reason}") from error
    return state


def why_not_runnable(config: NetworkConfig) -> str | None:
    """One line on what sets a network apart from all that srcli runs; None if it runs it.

    The global random numbers stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        if model_of(config) != "custom":
            return None
        kind = type(build(config))
        others = {name: _differences(config, kind, name) for name in model_names()}
    known = {name: found for name, found in others.items() if found}
    nearest = min(known, key=lambda name: len(known[name]))
    return (
        f"[network] is none that srcli runs, the nearest is {nearest}: "
        f"{', '.join(known[nearest])}. Its weights can be trained on (--init) and loaded from "
        "Python, but neither srcli upscale nor srcli bench will take them"
    )


def _differences(config: NetworkConfig, kind: type, name: str) -> list[str]:
    """Numbers that differ in the registry's network; none if that is of another kind."""
    scales = model_spec(name).scales
    scale = config.scale if config.scale in scales else max(scales)
    built, theirs = describe_built(model_spec(name).build, scale)
    if built is not kind or theirs is None:
        return []
    told, wanted = asdict(config), asdict(theirs)
    have = {"scale": ", ".join(map(str, scales))}
    return [
        f"{key} is {value}, there {have.get(key, wanted[key])}"
        for key, value in told.items()
        if key != "region" and value != wanted[key]  # a training patch is a region of its own
    ]
