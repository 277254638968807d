"""Choose a run's methods: networks at their efforts, their plain forms, and resampling."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from srcli.benchmark.methods import EndToEnd, Image8, Method, Network, OfDegraded, Resampler
from srcli.benchmark.saving_names import check_savings
from srcli.benchmark.savings import Without, run_as_upscaled, saves_by, without
from srcli.data.degradation import degrader_named
from srcli.data.resize import resize
from srcli.defaults import AUTO, SCALE
from srcli.errors import UsageError
from srcli.geometry import Size
from srcli.inference.device import pick_precision
from srcli.inference.network import LoadedNetwork, load_network
from srcli.inference.output_size import reduce_planes
from srcli.inference.upscaler import Upscaler
from srcli.models import model_names, model_spec
from srcli.models.spec import EXACT, Halting, SROutput
from srcli.weights import best_scale, clean_model, network_of, photo_model
from srcli.weights.manifest_file import COMMUNITY

__all__ = ["Setup", "methods_named", "networks_named"]


def _lanczos(lr: Image8, height: int, width: int) -> Image8:
    return np.asarray(Image.fromarray(lr).resize((width, height), Image.Resampling.LANCZOS))


_RESAMPLERS: dict[str, Callable[[Image8, int, int], Image8]] = {
    "bicubic": resize,
    "lanczos": _lanczos,
}


@dataclass(frozen=True)
class Setup:
    """Where and how networks run.

    Args:
        scale: SR px per LR px to a side.
        device: Where.
        precision: In which, by the names of `--precision`.
        efforts: The efforts of each network that has them; None: exact and balanced.
        random: Untrained parameters instead of weights.
        plain: For networks that have them, also the reference forward and the convolutions
            alone.
        end_to_end: A folder for files, to measure networks from file to file as well.
        degrade: Degradations of LR by name; each method is measured on each. Empty: on LR as it
            is.
        without: Savings that are switched off, each by itself, of networks that have them.
    """

    scale: int
    device: torch.device
    precision: str
    efforts: Sequence[str] | None
    random: bool = False
    plain: bool = False
    end_to_end: Path | None = None
    degrade: Sequence[str] = ()
    without: Sequence[str] = ()


def methods_named(names: Sequence[str], setup: Setup, warn: Callable[[str], None]) -> list[Method]:
    """Make what is measured, in the order asked for; `warn` is called with what cannot be added.

    Raises:
        UsageError: A name or effort does not exist, or not for that scale.
    """
    networks_named(names, setup.efforts)
    if setup.without:
        check_savings(setup.without)
    degraders = [degrader_named(one) for one in setup.degrade]
    if setup.random and setup.end_to_end is not None:
        raise UsageError(
            "--end-to-end makes images, which random weights cannot; hint: leave one out"
        )
    made: list[Method] = []
    for name in names:
        if name in _RESAMPLERS:
            made.append(Resampler(name, setup.scale, _RESAMPLERS[name]))
        else:
            made.extend(_ways(name, setup, warn))
    _check_switched_off(made, setup.without)
    if degraders:
        return [OfDegraded(method, one) for one in degraders for method in made]
    return made


def _check_switched_off(made: Sequence[Method], savings: Sequence[str]) -> None:
    """Refuse a saving that no method has.

    Raises:
        UsageError: There is one.
    """
    found = {one.switched_off.saving for one in made if one.switched_off is not None}
    if missing := [saving for saving in savings if saving not in found]:
        raise UsageError(
            f"nothing that is measured saves by {', '.join(missing)}; hint: adaformer saves by "
            "flat-areas, local-mask, global-mask and smooth-windows, pp-atd-light by pure-pixels, "
            "at --effort balanced"
        )


def networks_named(names: Sequence[str], efforts: Sequence[str] | None) -> list[str]:
    """Those of the names that are networks, or weights, and not resampling.

    Raises:
        UsageError: A name does not exist, there is none, or an effort none of them has.
    """
    if not names:
        raise UsageError("no model to measure; hint: name some with -m, a comma between them")
    networks = [name for name in names if name not in _RESAMPLERS]
    if AUTO in networks:
        raise UsageError(
            f"{AUTO} chooses weights file by file, and bench measures weights; hint: -m "
            f"{','.join(filter(None, (clean_model(AUTO), photo_model(AUTO, SCALE))))}"
        )
    for name in networks:
        if network_of(name) not in (*model_names(), COMMUNITY):
            have = ", ".join([*_RESAMPLERS, *model_names()])
            raise UsageError(f"no model named {name!r} (have {have})")
    if efforts is not None:
        _check_efforts(networks, efforts)
    return networks


def _check_efforts(networks: Sequence[str], efforts: Sequence[str]) -> None:
    """Refuse efforts that none of the networks has, or none at all if there is no network."""
    names = networks or model_names()
    have = dict.fromkeys(e for name in names for e in _efforts_of(name))
    unknown = [effort for effort in efforts if effort not in have]
    if unknown or not efforts:
        verb = "has" if len(names) == 1 else "have"
        raise UsageError(
            f"{', '.join(names)} {verb} no effort {', '.join(unknown) or 'of no name'} "
            f"(have {', '.join(have)})"
        )


def _efforts_of(name: str) -> Mapping[str, Halting]:
    """Halting of each of a network's efforts; community networks compute everything."""
    network = network_of(name)
    return {"exact": EXACT} if network == COMMUNITY else model_spec(network).efforts


def _ways(name: str, setup: Setup, warn: Callable[[str], None]) -> list[Method]:
    """A network at each effort asked for, and in its plain ways."""
    network = _network(name, setup)
    efforts = _efforts_of(name)
    asked = ("exact", "balanced") if setup.efforts is None else setup.efforts
    chosen = [effort for effort in asked if effort in efforts]
    if not chosen:
        raise UsageError(f"{name} has no effort {', '.join(asked)} (have {', '.join(efforts)})")

    def at(halting: Halting) -> Callable[[Tensor], SROutput]:
        if setup.without:
            return lambda lr: _at_scale(run_as_upscaled(network, lr, halting), lr, setup.scale)
        return lambda lr: _at_scale(network(lr, halting), lr, setup.scale)

    exact = at(efforts["exact"])
    title = name if network.scale == setup.scale else f"{name} x{network.scale} reduced"
    labels = {effort: title if len(efforts) == 1 else f"{title} {effort}" for effort in chosen}
    made: list[Method] = []
    for effort in chosen:
        halting, full = efforts[effort], labels[effort]
        made.append(Network(full, network, at(halting), exact))
        made += [
            Network(
                f"{full} without {saving}", network, at(without(halting, saving)), exact,
                Without(saving, full),
            )
            for saving in setup.without
            if saves_by(network, halting, saving)
        ]  # fmt: skip
    if setup.plain:
        made += _plain(name, network, setup.scale, warn)
    if setup.end_to_end is not None:
        upscalers = {e: _upscaler(name, e, setup) for e in dict.fromkeys([*chosen, "exact"])}
        made += [
            EndToEnd(
                f"{labels[effort]}, files", upscalers[effort], upscalers["exact"], setup.end_to_end
            )
            for effort in chosen
        ]
    return made


def _plain(
    name: str, network: LoadedNetwork, scale: int, warn: Callable[[str], None]
) -> list[Method]:
    """A network's plain ways; a warning where it has none, or none of that scale."""
    ways = network.module.baselines()
    if not ways:
        warn(f"--plain adds nothing for {name}, which has no plain ways")
    elif network.scale != scale:
        warn(
            f"--plain adds nothing for {name}, which has no weights for x{scale} "
            f"(-s {network.scale} has)"
        )
        return []
    return [Network(f"{name} {way}", network, run, run) for way, run in ways.items()]


def _at_scale(output: SROutput, lr: Tensor, scale: int) -> SROutput:
    """Reduce a network's result, as the upscaler does, if it is larger than asked for."""
    size = Size(lr.shape[3], lr.shape[2]).scaled(scale)
    if output.image.shape[2:] == size.array_shape:
        return output
    return replace(output, image=reduce_planes(output.image[0], size)[None])


def _upscaler(name: str, effort: str, setup: Setup) -> Upscaler:
    return Upscaler(name, setup.scale, str(setup.device), setup.precision, effort=effort)


def _network(name: str, setup: Setup) -> LoadedNetwork:
    """Load a network, of a larger scale if there is none of this; or make one at random."""
    if setup.random:
        if network_of(name) == COMMUNITY:
            raise UsageError(f"{name} has no random weights: its file says what it is built like")
        spec = model_spec(network_of(name))
        if setup.scale not in spec.scales:
            have = ", ".join(map(str, spec.scales))
            raise UsageError(f"{name} has no scale {setup.scale} (have {have})")
        if setup.precision == "int8":
            raise UsageError("random weights have no ranges for int8; hint: --precision fp32")
        dtype = pick_precision(setup.precision, setup.device)
        tf32 = setup.precision == "tf32"
        return LoadedNetwork.untrained(spec, setup.scale, setup.device, dtype, tf32=tf32)
    return load_network(best_scale(name, setup.scale), setup.device, setup.precision)
