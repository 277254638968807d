"""Parts that run on an accelerator, tested on the CPU as far as possible."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from srcli.errors import LossDiverged
from srcli.training import run as run_module
from srcli.training.accelerate import Graphs, Replay, fast_arithmetic, full_arithmetic
from srcli.training.checkpoint import read_checkpoint
from srcli.training.config import TrainingConfig
from srcli.training.families import PlainNetwork
from srcli.training.loop import RunOptions, train
from srcli.training.network import PatchNetwork
from srcli.training.step import Figures, StepOptions
from tests.forked_python import run_forked
from tests.training.conftest import Recorder, whole_checkpoint

CPU = torch.device("cpu")


class PlayedGraphs:
    """Plays what records: replaying does the work again, over the same tensors."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def warm(self, work: Callable[[], object]) -> object:
        self.did.append("warm")
        return work()

    def record(self, work: Callable[[], object]) -> tuple[Callable[[], None], object]:
        """Nothing runs while recording; only where results will lie is known."""
        self.did.append("record")
        results = [torch.zeros(3)]

        def replay() -> None:
            self.did.append("replay")
            results[0].copy_(work()[0])  # type: ignore[index]

        return replay, results


class Refusing(PlayedGraphs):
    def record(self, work: Callable[[], object]) -> tuple[Callable[[], None], object]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")


def test_a_function_is_recorded_after_three_runs_and_anew_for_another_kind():
    graphs = PlayedGraphs()
    replay = Replay(graphs, print)

    def doubled(kind: str, value: float) -> list[float]:
        (result,) = replay(kind, [torch.full((3,), value)], lambda given: [2 * given[0]])
        return result.tolist()

    assert [doubled("a", value) for value in (1, 2, 3, 4, 5)] == [
        [2.0 * v] * 3 for v in range(1, 6)
    ]
    assert graphs.did == ["warm"] * 3 + ["record", "replay", "replay"]
    assert doubled("b", 7) == [14.0] * 3
    assert graphs.did[6:] == ["warm"]


def test_what_cannot_be_recorded_runs_as_usual_and_that_is_said_once():
    said: list[str] = []
    replay = Replay(Refusing(), said.append)
    for value in range(6):
        (result,) = replay("a", [torch.tensor(float(value))], lambda given: [given[0] + 1])
        assert result.item() == value + 1
    assert said == [
        "steps are not recorded, which is slower: RuntimeError: operation not permitted when "
        "stream is capturing more of it"
    ]


@pytest.mark.parametrize("arithmetic", [fast_arithmetic, full_arithmetic])
def test_arithmetic_is_afterwards_what_it_was(arithmetic: Callable[[torch.device], object]):
    def now() -> tuple[str, bool, bool]:
        cudnn = torch.backends.cudnn
        return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark

    before = now()
    with arithmetic(torch.device("cuda")):  # type: ignore[attr-defined]
        fast = arithmetic is fast_arithmetic
        assert now() == ("high" if fast else "highest", fast, fast)
    assert now() == before
    with arithmetic(CPU):  # type: ignore[attr-defined]
        assert now() == before


class Waiting(TorchDispatchMode):
    """Notes what would make the host wait for a device."""

    NAMES = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations += 1
        name = func.name().removeprefix("aten::").split(".")[0]
        masks = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in self.NAMES or masks:
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


def deferring(monkeypatch: pytest.MonkeyPatch, every: int, **told: object) -> None:
    """Let runs look every `every` steps only whether gradients were finite, as on CUDA."""

    def options(*given: object, **named: object) -> StepOptions:
        return replace(StepOptions(*given, **named), check_every=every, **told)  # type: ignore

    monkeypatch.setattr(run_module, "StepOptions", options)


@pytest.mark.parametrize("muon_lr", [0.0, 1e-3])
def test_no_step_waits_for_the_device(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, muon_lr: float
):
    """Between two lines of the log, halting or not."""
    deferring(monkeypatch, 1000)
    schedule = replace(config.schedule, muon_lr=muon_lr)
    quiet = replace(config.validation, every_steps=0)
    waiting, seen = Waiting(), dict[int, int]()
    take = run_module.Stepper.take

    def watched(self: run_module.Stepper, batch, now):
        with waiting:
            figures = take(self, batch, now)
        seen[batch.step] = waiting.operations
        return figures

    monkeypatch.setattr(run_module.Stepper, "take", watched)
    train(replace(config, schedule=schedule, validation=quiet), RunOptions(tmp_path), [])
    assert seen.keys() == set(range(6))
    assert waiting.operations > 1000
    assert waiting.waits == []


def test_a_divergence_found_out_later_changes_no_more_than_one_found_at_once(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calm = replace(config, schedule=replace(config.schedule, halting_from=0.9))
    wild = replace(calm, schedule=replace(calm.schedule, lr=1e20, steps=20))
    runs = {"at once": 1, "later": 7}
    before: dict[str, dict[str, torch.Tensor]] = {}
    take = run_module.Stepper.take
    for name, every in runs.items():
        with pytest.raises(KeyboardInterrupt):
            train(calm, RunOptions(tmp_path / name), [Recorder(interrupt_at=3)])
        with monkeypatch.context() as patch:
            deferring(patch, every)
            held: list[object] = []

            def noted(self: run_module.Stepper, batch, now, held: list[object] = held):
                held[:] = [self]
                return take(self, batch, now)

            patch.setattr(run_module.Stepper, "take", noted)
            with pytest.raises(LossDiverged, match=r"not finite at step 4 .*step 3 stays"):
                train(wild, RunOptions(tmp_path / name, resume=True), [])
            state = held[0]._state  # type: ignore[attr-defined]
            assert state.step == 4
            (tmp_path / f"{name} after").mkdir()
            state.save(tmp_path / f"{name} after" / "checkpoint.safetensors")
            before[name] = whole_checkpoint(tmp_path / f"{name} after")
    one, other = before.values()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[k], other[k]) or one[k].isnan().all() for k in one)
    batches = [load_file(tmp_path / n / "diverged-step4-rank0.safetensors") for n in runs]
    assert all(torch.equal(batches[0][k], batches[1][k]) for k in batches[0])


def test_recorded_steps_are_the_same_steps(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With graphs that are played: replaying runs the step over the recorder's own tensors."""

    class Played(PlayedGraphs):
        def record(self, work: Callable[[], Figures]) -> tuple[Callable[[], None], Figures]:
            self.did.append("record")
            one, layers = torch.zeros(3), torch.zeros(2, 3)
            results = Figures(*one.unbind(), *layers.unbind())

            def replay() -> None:
                for own, new in zip(vars(results).values(), vars(work()).values(), strict=True):
                    if own is not None:
                        own.copy_(new)

            return replay, results

    longer = replace(config, schedule=replace(config.schedule, steps=12, muon_lr=1e-3))
    train(longer, RunOptions(tmp_path / "plain"), [])
    played = Played()
    deferring(monkeypatch, 4, graphs=played)
    train(longer, RunOptions(tmp_path / "played"), [])
    assert played.did == ["warm"] * 3 + ["record"] + ["warm"] * 3 + ["record"]
    wanted, found = whole_checkpoint(tmp_path / "plain"), whole_checkpoint(tmp_path / "played")
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def test_images_on_the_device_make_the_same_run(config: TrainingConfig, tmp_path: Path):
    for images in ("host", "device"):
        told = replace(config, data=replace(config.data, images=images))
        train(told, RunOptions(tmp_path / images), [])
    wanted, found = whole_checkpoint(tmp_path / "host"), whole_checkpoint(tmp_path / "device")
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "network", [PatchNetwork, pytest.param(PlainNetwork, marks=pytest.mark.slow)]
)
def test_a_run_goes_on_where_compiling_fails(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: type
):
    def broken(*_: object) -> None:
        raise OSError("no compiler on this machine")

    if network is PlainNetwork:
        from srcli.models.atd import ATDConfig

        small = ATDConfig(scale=2, dim=12, groups=1, layers=2, heads=2, window=8, entries=4,
                          reduced=2, category_group=16, kernel=3)  # fmt: skip
        config = replace(config, network=small)
    compile_parts = network.compile_parts
    monkeypatch.setattr(network, "compile_parts", lambda self: compile_parts(self, broken))
    train(config, RunOptions(tmp_path / "plain"), [])
    told = replace(config, run=replace(config.run, compile="always"))
    recorder = Recorder()
    train(told, RunOptions(tmp_path / "broken"), [recorder])
    assert len(recorder.notes) == 1
    assert recorder.notes[0].startswith("not compiled, which is slower: ")
    assert "no compiler on this machine" in recorder.notes[0]
    wanted, found = whole_checkpoint(tmp_path / "plain"), whole_checkpoint(tmp_path / "broken")
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


COUNTING = """
import sys, torch
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.training.network import PatchNetwork
torch.set_num_threads(1)
config = AdaFormerConfig(2, channels=8, dim=8, residual_blocks=1, layers=3, heads=2, region=0)
network, graphs = PatchNetwork(AdaFormer(config), 0.1), []
network.compile_parts(lambda graph, _: graphs.append(graph) or graph.forward)
for threshold in (float("inf"), 0.95):
    output = network(torch.rand(4, 3, 16, 16), threshold)
    (output.image.sum() + output.confidence.sum()).backward()
sys.stdout.write(str(len(graphs)))
"""


def test_blocks_share_what_is_compiled():
    """Three blocks, two stacks, three confidences, two phases: three graphs, not sixteen.

    In a process of its own, without the checks of types that tests have, which would be compiled.
    """
    ran = run_forked(["-c", COUNTING])
    assert ran.stdout == "3", ran.stderr


def test_minutes_count_from_where_the_process_began(config: TrainingConfig, tmp_path: Path):
    recorder = Recorder()
    began = time.monotonic() - 60 * 4
    train(config, RunOptions(tmp_path, steps=6, minutes=8.0, began=began), [recorder])
    first = recorder.steps[0]
    assert first.minutes > 4
    assert first.done < 0.2  # what passed before the first step is no progress
    assert float(read_checkpoint(tmp_path / "checkpoint.safetensors").notes["idle"]) > 4


def test_a_run_whose_time_is_over_before_the_first_step_exports_what_it_began_with(
    config: TrainingConfig, tmp_path: Path
):
    began, recorder = time.monotonic() - 60 * 4, Recorder()
    assert train(config, RunOptions(tmp_path, minutes=4, began=began), [recorder]) is not None
    assert recorder.steps == []


def test_the_last_validation_ends_after_its_minutes_and_the_weights_are_exported(
    config: TrainingConfig, tmp_path: Path
):
    short = replace(config.validation, every_steps=0, last_minutes=1e-9)
    recorder = Recorder()
    path = train(replace(config, validation=short), RunOptions(tmp_path), [recorder])
    assert path is not None
    assert path.is_file()
    assert recorder.validations[-1].exact == {}
    assert "validation ended after 1e-09 minutes" in recorder.warnings[-1]


def test_graphs_are_what_replay_wants():
    graphs: Graphs = PlayedGraphs()  # type: ignore[assignment]
    assert graphs.warm(lambda: 3) == 3
