"""Methods of a paper table's rows, and what is missing to run the others."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from srcli.benchmark.ablations import ablation_spec, load_ablation, training_command
from srcli.benchmark.exits import Spread, equal_sparsity, learned, ranked, run_exits
from srcli.benchmark.methods import Image8, Method, MethodOutput, Network
from srcli.benchmark.paper_tables import PaperRow, PaperTable
from srcli.errors import SrcliError, UsageError
from srcli.inference.network import LoadedNetwork
from srcli.models import model_names, model_spec
from srcli.models.adaformer import AdaFormer
from srcli.models.spec import EXACT, Halting, SROutput
from srcli.weights import best_scale, how_to_get, network_of
from srcli.weights.local_files import is_here
from srcli.weights.manifest_file import COMMUNITY

__all__ = ["SCALE", "Missing", "RowMethods"]

SCALE = 4
_ABLATION_FOLDER = Path("ablation")  # where the documentation trains them


@dataclass
class Missing:
    """Lines about what is missing, each once."""

    lines: list[str] = field(default_factory=list[str])

    def add(self, line: str) -> None:
        """Add a line."""
        if line not in self.lines:
            self.lines.append(line)


@dataclass(frozen=True)
class RowMethods:
    """Makes the methods of a table's rows.

    Args:
        table: The paper's.
        device: Where networks run.
        effort: Of networks in which tokens halt; and of the exits.
        random_weights: Networks without weights get random ones.
        ablations: Folder of the ablations' trained weights; None: there is none.
        missing: Told what is missing, and how to get it.
    """

    table: PaperTable
    device: torch.device
    effort: str
    random_weights: bool
    ablations: Path | None
    missing: Missing
    _loaded: dict[str, LoadedNetwork | None] = field(
        default_factory=dict[str, LoadedNetwork | None]
    )

    def method(self, row: PaperRow) -> Method | None:
        """The method of a row; None, and a line about it, where it cannot be run here.

        Raises:
            UsageError: The effort halts nothing, and the row is about what halts.
        """
        network = self._network(row)
        if network is None:
            return None
        efforts = network.spec.efforts
        halting = efforts.get(self.effort, list(efforts.values())[-1])
        if row.kind == "network":
            return Network(row.name, network, lambda lr: network(lr, halting),
                           lambda lr: network(lr, efforts["exact"]))  # fmt: skip
        if halting.eps is None:
            able = ", ".join(name for name, one in efforts.items() if one.eps is not None)
            raise UsageError(
                f"--effort {self.effort} halts nothing, and {row.name} is about what halts; hint: "
                f"--effort {able}"
            )
        base = network if row.kind != "ranked" else self._network(self.table.base_row)
        if base is None:
            self.missing.add(f"{row.name}: it copies the sparsity of {self.table.base}")
            return None
        return ExitMethod(row.name, network, row.kind, halting, base)

    def _network(self, row: PaperRow) -> LoadedNetwork | None:
        """A row's network with its weights, or random ones where that is asked for."""
        if row.model not in self._loaded:
            load = self._ablation if row.trained else self._published
            self._loaded[row.model] = load(row)
        return self._loaded[row.model]

    def _published(self, row: PaperRow) -> LoadedNetwork | None:
        """A network of the registry, or of weights, by its name."""
        name = row.model
        try:
            entry = best_scale(name, SCALE)
            if is_here(entry):
                return LoadedNetwork(entry, self.device, torch.float32)
            self.missing.add(f"{row.name}: {how_to_get(entry)}")
        except SrcliError as error:
            known = network_of(name) in (*model_names(), COMMUNITY)
            what = f"no weights of {name} are here: {error}" if known else f"{name} is not here"
            self.missing.add(f"{row.name}: {what}")
        if not self.random_weights or name not in model_names():
            return None
        return LoadedNetwork.untrained(model_spec(name), SCALE, self.device, torch.float32)

    def _ablation(self, row: PaperRow) -> LoadedNetwork | None:
        """A network that a person trains, by its training's name."""
        folder, name = self.ablations or _ABLATION_FOLDER, row.model
        try:
            found = load_ablation(name, self.ablations, self.device) if self.ablations else None
        except SrcliError as error:
            self.missing.add(f"{row.name}: {error}")
            return None
        if found is not None:
            return found
        then = "" if self.ablations else f", then --weights-folder {folder}"
        self.missing.add(
            f"{row.name}: needs a network trained so: {training_command(name, folder)}{then}"
        )
        if not self.random_weights:
            return None
        return LoadedNetwork.untrained(ablation_spec(name), SCALE, self.device, torch.float32)


class ExitMethod(Method):
    """AdaFormer with another rule for exits; the rule is made ready before the clock runs.

    Args:
        name: As in the table.
        network: An AdaFormer.
        kind: unmasked, local, learned, uniform, random or ranked.
        halting: How much halts by the learned rule, whose sparsity the last three copy.
        base: The AdaFormer whose sparsity that is.
    """

    def __init__(
        self, name: str, network: LoadedNetwork, kind: str, halting: Halting, base: LoadedNetwork
    ) -> None:
        super().__init__(name, network.fingerprint)
        assert isinstance(network.module, AdaFormer), "exits are AdaFormer's"
        self._adaformer, self._kind, self._halting = network.module, kind, halting
        self._base = base.module
        own = partial(network, halting=EXACT)
        self._own = Network(name, network, own, own)

    @torch.inference_mode()
    def prepare(self, lr: Image8) -> tuple[Tensor, Callable[[], SROutput]]:
        """Bring the image to the device, and make its rule."""
        image = self._own.prepare(lr)
        if self._kind in (*Spread, "ranked"):
            layers = self._base(image, self._halting).layers
            if estimates := self._kind == "ranked":
                rule = ranked(layers, shared=self._adaformer.config.masks == "both")
            else:
                rule = equal_sparsity(layers, Spread(self._kind))
        else:
            masks = {"unmasked": (False, False), "local": (True, False), "learned": (True, True)}
            local, shared = masks[self._kind]
            rule = learned(self._halting.threshold, local=local, shared=shared)
            estimates = local
        return image, partial(run_exits, self._adaformer, image, rule, estimates=estimates)

    @torch.inference_mode()
    def forward(self, prepared: tuple[Tensor, Callable[[], SROutput]]) -> SROutput:
        """Upscale by the rule."""
        return prepared[1]()

    def dense(self, prepared: tuple[Tensor, Callable[[], SROutput]]) -> SROutput:
        """Upscale with nothing spared."""
        return self._own.dense(prepared[0])

    def finish(self, raw: SROutput) -> MethodOutput:
        """Clamp, round, bring to the CPU."""
        return self._own.finish(raw)
