"""Whole runs of a tiny network."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from srcli.data.images import ImageStore, find_sources
from srcli.data.patch_draws import Share
from srcli.data.patches import PatchSampler
from srcli.errors import LossDiverged, UsageError, WeightsError
from srcli.models import model_spec
from srcli.models.adaformer import AdaFormer, AdaFormerConfig
from srcli.models.atd import ATDConfig
from srcli.models.camixer_atd import CAMixerATDConfig
from srcli.models.spec import EXACT
from srcli.training.config import TrainingConfig, ValidationConfig
from srcli.training.export import model_of
from srcli.training.families import build
from srcli.training.fit_upsampler import fit_upsampler
from srcli.training.loggers import JsonLogger, describe_figures
from srcli.training.loop import RunOptions, train
from srcli.training.state import TrainingState
from srcli.training.validation import find_validation_sets, measure
from tests.training.conftest import Recorder, whole_checkpoint


@pytest.mark.slow
def test_learns(longer: TrainingConfig, tmp_path: Path):
    recorder = Recorder()
    train(longer, RunOptions(tmp_path / "run"), [recorder])
    losses = [report.restoration for report in recorder.steps]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    first, last = recorder.validations[0].exact["Mini"], recorder.validations[-1].exact["Mini"]
    assert last > first + 3
    assert [r.halting for r in recorder.steps].index(True) == 54


def test_leaves_weights_log_and_manifest_entry(config: TrainingConfig, tmp_path: Path):
    out, recorder = tmp_path / "run", Recorder()
    path = train(config, RunOptions(out), [recorder, JsonLogger(out / "log.jsonl", print)])
    assert path == out / "tiny.safetensors"
    weights = load_file(path)
    assert {t.dtype for t in weights.values()} == {torch.float16}
    network = AdaFormer(config.network)
    network.load_state_dict(weights)
    scores = measure(
        network, find_validation_sets([str(tmp_path / "Mini")], 2), EXACT, torch.device("cpu")
    )
    assert scores["Mini"] == recorder.validations[-1].exact["Mini"]
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    steps = [e for e in log if e["event"] == "steps"]
    assert [e["step"] for e in steps] == [1, 2, 3, 4, 5, 6]
    assert len(steps[0]["correlation"]) == len(steps[0]["live_windows"]) == 3
    entry = (out / "tiny.manifest.toml").read_text()
    psnr_y = round(recorder.validations[-1].exact["Mini"], 2)
    assert tomllib.loads(entry)["weights"][0]["psnr_y"] == {"Mini": psnr_y}
    assert "6 steps of 4 patches of 16x16 LR px" in entry


def test_export_names_the_network_it_fits():
    assert model_of(AdaFormerConfig(scale=3, region=0)) == "adaformer"
    small = model_spec("adaformer-s").build(2)
    assert isinstance(small, AdaFormer)
    assert model_of(small.config) == "adaformer-s"
    assert model_of(AdaFormerConfig(scale=2, layers=5)) == "custom"
    assert model_of(AdaFormerConfig(scale=5)) == "custom"
    assert model_of(ATDConfig(scale=4)) == "pp-atd-light"
    assert model_of(ATDConfig(scale=4, heads=2)) == "custom"
    assert model_of(CAMixerATDConfig(scale=4)) == "camixer-atd-light"
    assert model_of(CAMixerATDConfig(scale=4, ratio=0.25)) == "custom"


@pytest.mark.slow
@pytest.mark.parametrize("family", [ATDConfig, CAMixerATDConfig])
def test_atd_trains_resumes_and_is_adaptive_at_the_end(
    config: TrainingConfig, tmp_path: Path, family: type[ATDConfig]
):
    small = family(scale=2, dim=12, groups=1, layers=2, heads=2, window=8, entries=4, reduced=2,
                   category_group=16, kernel=3)  # fmt: skip
    config = replace(config, network=small)
    whole, parts = Recorder(), [Recorder(interrupt_at=4), Recorder()]
    path = train(config, RunOptions(tmp_path / "whole"), [whole])
    with pytest.raises(KeyboardInterrupt):
        train(config, RunOptions(tmp_path / "parts"), [parts[0]])
    train(config, RunOptions(tmp_path / "parts", resume=True), [parts[1]])
    losses = [r.restoration for r in parts[0].steps + parts[1].steps]
    assert losses == [r.restoration for r in whole.steps]
    assert [r.uncertainty for r in whole.steps] == [0.0] * 6
    assert [r.halting for r in whole.steps] == [False] * 3 + [True] * 3
    assert path is not None
    build(small).load_state_dict(load_file(path))
    before = TrainingState(config, torch.device("cpu")).network.state_dict()
    predictors = [name for name in before if name.endswith(".score.0.weight")]
    assert len(predictors) == (2 if family is CAMixerATDConfig else 0)
    end = whole_checkpoint(tmp_path / "whole")
    assert not any(torch.equal(end[f"network.{name}"], before[name]) for name in predictors)
    assert whole.validations[-1].balanced.keys() == {"Mini"}
    assert "correlation" not in describe_figures(whole.steps[0])


def test_resume_goes_on_bit_for_bit(config: TrainingConfig, tmp_path: Path):
    whole, parts = Recorder(), [Recorder(interrupt_at=4), Recorder()]
    train(config, RunOptions(tmp_path / "whole"), [whole])
    with pytest.raises(KeyboardInterrupt):
        train(config, RunOptions(tmp_path / "parts"), [parts[0]])
    train(config, RunOptions(tmp_path / "parts", resume=True), [parts[1]])
    assert [r.step for r in parts[1].steps] == [5, 6]
    wanted, got = whole_checkpoint(tmp_path / "whole"), whole_checkpoint(tmp_path / "parts")
    assert wanted.keys() == got.keys()
    assert all(torch.equal(wanted[name], got[name]) for name in wanted)
    losses = [r.restoration for r in parts[0].steps + parts[1].steps]
    assert losses == [r.restoration for r in whole.steps]


def test_resume_refuses_what_would_change_the_run(config: TrainingConfig, tmp_path: Path):
    again = RunOptions(tmp_path, resume=True)
    with pytest.raises(WeightsError, match=r"checkpoint\.safetensors.*No such file"):
        train(config, again, [])
    train(config, RunOptions(tmp_path), [])
    wider = replace(config, network=replace(config.network, channels=16))
    with pytest.raises(WeightsError, match=r"was made with network.channels 8, now it is 16$"):
        train(wider, again, [])
    with pytest.raises(UsageError, match="was made with seed 5, now it is 6"):
        train(replace(config, run=replace(config.run, seed=6)), again, [])
    with pytest.raises(UsageError, match="give one of them"):
        train(config, replace(again, init=tmp_path / "tiny.safetensors"), [])


@pytest.mark.slow
def test_init_takes_the_body_of_another_scale(config: TrainingConfig, tmp_path: Path):
    body = train(config, RunOptions(tmp_path / "x2"), [])
    x3 = replace(config, network=replace(config.network, scale=3), validation=ValidationConfig())
    said = Recorder()
    train(x3, RunOptions(tmp_path / "x3", init=body, steps=1), [said])
    assert "has no upsampler of this scale: fitting one to 1600 patches" in said.warnings[0]
    state = TrainingState(x3, torch.device("cpu"))
    assert state.start_from(body) == ["tail.weight", "tail.bias"]
    given = load_file(body)
    assert torch.equal(state.network.head.weight, given["head.weight"].float())
    assert torch.equal(state.average.tail.weight, state.network.tail.weight)
    fewer = replace(config, network=replace(config.network, layers=2))
    with pytest.raises(WeightsError, match="of another architecture: blocks"):
        train(fewer, RunOptions(tmp_path / "fewer", init=body), [])
    with pytest.raises(WeightsError, match="Mini"):
        train(config, RunOptions(tmp_path / "none", init=tmp_path / "Mini"), [])
    with pytest.raises(WeightsError, match="a run's checkpoint: --resume continues from it"):
        train(config, RunOptions(tmp_path / "a", init=tmp_path / "x2/checkpoint.safetensors"), [])
    save_file({**given, "head.bias": given["head.bias"] * torch.nan}, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match=r"is damaged: head\.bias is not finite"):
        train(config, RunOptions(tmp_path / "b", init=tmp_path / "nan.safetensors"), [])


def test_a_new_upsampler_is_the_best_linear_one(config: TrainingConfig, images: Path):
    """No step away from the fit, in any direction tried, has a smaller error on what was fitted."""
    torch.manual_seed(0)
    network = AdaFormer(replace(config.network, scale=3)).requires_grad_(requires_grad=False)
    sources, _ = find_sources([images], 3, 48, (), 1200)
    sampler = PatchSampler(
        ImageStore(sources, 3, 10**8),
        scale=3,
        patch=16,
        batch=8,
        seed=1,
        share=Share(),
        warn=print,
    )
    batches = [sampler.cut(step) for step in range(4)]

    def error() -> float:
        total = 0.0
        for batch in batches:
            sr, hr = network(batch.lr.float() / 255).image, batch.hr.float() / 255
            total += float((sr - hr)[..., 12:-12, 12:-12].double().square().sum())
        return total

    untrained = error()
    fit_upsampler(network, iter(batches), len(batches))
    fitted = error()
    assert fitted < untrained / 2
    for parameter in (network.tail.weight, network.tail.bias):
        for size in (1e-2, -1e-2):
            step = size * torch.randn_like(parameter)
            parameter.add_(step)
            assert error() > fitted
            parameter.sub_(step)


def test_a_loss_that_diverges_leaves_the_checkpoint_from_which_its_advice_goes_on(
    config: TrainingConfig, tmp_path: Path
):
    calm = replace(config, schedule=replace(config.schedule, halting_from=0.9))
    wild = replace(calm, schedule=replace(calm.schedule, lr=1e20))  # ruins the weights in a step
    with pytest.raises(KeyboardInterrupt):
        train(calm, RunOptions(tmp_path), [Recorder(interrupt_at=3)])
    good = (tmp_path / "checkpoint.safetensors").read_bytes()
    advice = r"not finite at step 4 \(seed 5\).*step 3 stays; hint: lower schedule.lr and --resume"
    with pytest.raises(LossDiverged, match=advice):
        train(wild, RunOptions(tmp_path, resume=True), [])
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == good
    assert all(bool(t.isfinite().all()) for t in whole_checkpoint(tmp_path).values())
    saved = load_file(tmp_path / "diverged-step4-rank0.safetensors")
    assert saved["lr"].shape == (4, 3, 16, 16)
    assert saved["hr"].shape == (4, 3, 32, 32)
    recorder = Recorder()
    train(calm, RunOptions(tmp_path, resume=True), [recorder])
    assert [r.step for r in recorder.steps] == [4, 5, 6]


def test_the_advice_where_no_checkpoint_is_from_before_the_divergence(
    config: TrainingConfig, tmp_path: Path
):
    calm = replace(config, schedule=replace(config.schedule, halting_from=0.9))
    wild = replace(calm, schedule=replace(calm.schedule, lr=1e20, muon_lr=1e-3))
    with pytest.raises(LossDiverged, match="no checkpoint yet: start again with a lower schedule"):
        train(wild, RunOptions(tmp_path), [])
    train(calm, RunOptions(tmp_path, steps=2), [])  # nothing is in the way
    state = TrainingState(calm, torch.device("cpu"))
    state.resume(tmp_path / "checkpoint.safetensors")
    state.network.tail.bias.data[0] = torch.nan
    state.save(tmp_path / "checkpoint.safetensors")
    with pytest.raises(
        LossDiverged, match=r"at step 2 .* has the weights that led there; hint: remove"
    ):
        train(calm, RunOptions(tmp_path, resume=True, steps=4), [])


def test_data_must_not_hold_the_validation_set(config: TrainingConfig, tmp_path: Path):
    data = replace(config.data, folders=(str(tmp_path),))
    with pytest.raises(UsageError, match="share images"):
        train(replace(config, data=data), RunOptions(tmp_path / "run"), [])


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("x2/LR/one.png", r"no images (for|in) .*"),
        ("x2/HR/one.png", r"no images (for|in) .*"),
        ("x2", "Mini has no images for x2: wanted x2/HR and x2/LR"),
        ("", "Mini: there is no such folder"),
    ],
)
def test_incomplete_validation_sets(
    config: TrainingConfig, benchmark_set: Path, tmp_path: Path, missing: str, line: str
):
    path = benchmark_set / missing
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=line):
        train(config, RunOptions(tmp_path / "run"), [])


def test_a_network_that_cannot_be_gets_one_line(config: TrainingConfig, tmp_path: Path):
    even = ATDConfig(scale=2, dim=12, groups=1, layers=2, heads=2, window=8, kernel=2)
    odd = replace(config, network=even)
    with pytest.raises(UsageError, match=r"\[network\] cannot be built as it stands: ") as caught:
        train(odd, RunOptions(tmp_path / "run"), [])
    assert "\n" not in str(caught.value)


def test_warns_of_images_it_cannot_use(config: TrainingConfig, images: Path, tmp_path: Path):
    Image.new("RGB", (20, 90)).save(images / "narrow.png")
    recorder, log = Recorder(), JsonLogger(tmp_path / "run" / "log.jsonl", print)
    train(config, RunOptions(tmp_path / "run", steps=1), [recorder, log])
    assert len(recorder.warnings) == 1
    assert "narrow.png: 20x90 px, a patch takes 32" in recorder.warnings[0]


def test_refuses_a_folder_that_cannot_be(config: TrainingConfig, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write to"):
        train(config, RunOptions(tmp_path / "file" / "run"), [])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_compiled_steps_are_the_same_steps(config: TrainingConfig, tmp_path: Path):
    plain, compiled = Recorder(), Recorder()
    train(config, RunOptions(tmp_path / "plain"), [plain])
    faster = replace(config, run=replace(config.run, compile="always"))
    train(faster, RunOptions(tmp_path / "compiled"), [compiled])
    for a, b in zip(plain.steps, compiled.steps, strict=True):
        assert b.restoration == pytest.approx(a.restoration, rel=1e-4)
        assert b.uncertainty == pytest.approx(a.uncertainty, rel=1e-4)


def test_mixed_precision(config: TrainingConfig, tmp_path: Path):
    run = replace(config.run, precision="bf16")
    recorder = Recorder()
    train(replace(config, run=run), RunOptions(tmp_path, minutes=60, steps=2), [recorder])
    assert len(recorder.steps) == 2
    assert recorder.steps[0].restoration > 0
