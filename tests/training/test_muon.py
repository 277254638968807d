"""Muon, held against torch's own for plain matrices."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from srcli.errors import UsageError
from srcli.models import model_spec
from srcli.training.config import TrainingConfig
from srcli.training.loop import RunOptions, train
from srcli.training.muon import Muon, hidden_matrices, orthogonal
from tests.training.conftest import Recorder, whole_checkpoint


def moved(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, steps: int = 3):
    """Distance `parameter` moves in some steps with gradients that are equal for all callers."""
    start = parameter.detach().clone()
    random = torch.Generator().manual_seed(1)
    optimizer.param_groups[0]["lr"] = 0.1
    for _ in range(steps):
        parameter.grad = torch.randn(parameter.shape, generator=random)
        optimizer.step()
    return parameter.detach() - start


@pytest.mark.parametrize("shape", [(6, 20), (20, 16), (16, 16)])
def test_steps_as_torch_does(shape: tuple[int, int]):
    ours, theirs = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))
    torchs = torch.optim.Muon([theirs], weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    way, reference = moved(Muon([ours]), ours), moved(torchs, theirs)
    assert (way - reference).norm() < 0.05 * reference.norm()  # torch iterates in bf16


def test_a_convolution_is_the_matrix_of_its_taps():
    kernel, matrix = nn.Parameter(torch.zeros(4, 5, 3, 3)), nn.Parameter(torch.zeros(4, 45))
    assert torch.allclose(moved(Muon([kernel]), kernel).flatten(1), moved(Muon([matrix]), matrix))


def test_packed_matrices_are_turned_one_by_one():
    packed = nn.Parameter(torch.zeros(24, 8))
    way = moved(Muon([packed]), packed, steps=1)
    random = torch.Generator().manual_seed(1)
    gradients = torch.randn(24, 8, generator=random).split(8)
    for part, gradient in zip(way.split(8), gradients, strict=True):
        wanted = -0.1 * 0.2 * 8**0.5 * orthogonal(gradient[None])[0]
        assert torch.allclose(part, wanted, atol=1e-5)


def test_a_parameter_without_a_gradient_stays():
    still, other = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))
    optimizer = Muon([still, other])
    moved(optimizer, other)
    assert torch.equal(still, torch.ones(4, 4))
    assert not torch.equal(other, torch.ones(4, 4))


def test_orthogonal_handles_nothing_and_rank_one():
    assert not orthogonal(torch.zeros(1, 3, 5)).any()
    assert orthogonal(torch.ones(2, 3, 5)).isfinite().all()


@pytest.mark.parametrize("family", ["adaformer", "pp-atd-light"])
def test_hidden_matrices_neither_read_nor_make_pixels(family: str):
    network = model_spec(family).build(4)
    names = set(hidden_matrices(network))
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert names < shapes.keys()
    assert not names & {"head.weight", "tail.weight"}
    assert all(len(shapes[name]) > 1 and shapes[name][1] > 3 for name in names)
    assert sum(shapes[n][0] for n in names) > 1000


@pytest.mark.slow
def test_a_run_with_muon_learns_and_resumes_bit_for_bit(longer: TrainingConfig, tmp_path: Path):
    config = replace(longer, schedule=replace(longer.schedule, steps=20, muon_lr=1e-2))
    whole, parts = Recorder(), [Recorder(interrupt_at=13), Recorder()]
    train(config, RunOptions(tmp_path / "whole"), [whole])
    with pytest.raises(KeyboardInterrupt):
        train(config, RunOptions(tmp_path / "parts"), [parts[0]])
    train(config, RunOptions(tmp_path / "parts", resume=True), [parts[1]])
    ends = [whole_checkpoint(tmp_path / n) for n in ("whole", "parts")]
    assert ends[0].keys() == ends[1].keys()
    assert any(name.startswith("muon.average.blocks") for name in ends[0])
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    losses = [report.restoration for report in whole.steps]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_a_negative_rate_is_refused(config: TrainingConfig):
    wrong = replace(config, schedule=replace(config.schedule, muon_lr=-1.0))
    with pytest.raises(UsageError, match=r"schedule.muon_lr is -1\.0"):
        wrong.check()


def test_a_channels_last_convolution_moves_as_any_other():
    start = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(2))
    rows = nn.Parameter(start.clone())
    last = nn.Parameter(start.contiguous(memory_format=torch.channels_last))
    optimizer = Muon([last])
    assert torch.allclose(moved(Muon([rows]), rows), moved(optimizer, last), atol=1e-5)
    assert optimizer.state[last]["average"].stride() == last.stride()


def test_a_stack_of_equal_shapes_moves_as_each_alone():
    random = torch.Generator().manual_seed(3)
    shapes = [(8, 8), (24, 8), (8, 20), (4, 5, 2, 2), (8, 8)]
    alone = [nn.Parameter(torch.randn(shape, generator=random)) for shape in shapes]
    together = [nn.Parameter(p.detach().clone()) for p in alone]
    optimizers = [*(Muon([p]) for p in alone), Muon(together)]
    for _ in range(3):
        for one, other in zip(alone, together, strict=True):
            one.grad = torch.randn(one.shape, generator=random)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 0.1
            optimizer.step()
    for one, other in zip(alone, together, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("worst", [torch.nan, torch.inf])
def test_a_step_that_is_to_be_left_out_changes_nothing(worst: float):
    first, second = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))
    optimizer = Muon([first, second])
    optimizer.param_groups[0]["lr"] = torch.tensor(0.1)
    for gradient, found_inf in ((torch.eye(4), 0.0), (torch.full((4, 4), worst), 1.0)):
        before = [t.clone() for p in (first, second) for t in (p, *optimizer.state[p].values())]
        first.grad, second.grad = gradient, torch.eye(4)
        optimizer.step(torch.tensor(found_inf))
        after = [t for p in (first, second) for t in (p, *optimizer.state[p].values())]
        same = len(before) == len(after) and all(map(torch.equal, before, after))
        assert same == (found_inf == 1.0)


def test_bf16_turns_nearly_as_far():
    matrices = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(4))
    exact, rough = orthogonal(matrices), orthogonal(matrices, torch.bfloat16)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).norm() < 0.05 * exact.norm()
