"""Networks of the ablations: those of the training configurations, with the weights found."""

from pathlib import Path

import pytest
import torch

import srcli.training
from srcli.benchmark.ablations import ABLATIONS, load_ablation, training_command
from srcli.errors import WeightsError
from srcli.models.spec import Halting
from srcli.training.config_file import read_config
from tests.benchmark.trained_ablations import save_ablation

CONFIGURATIONS = Path(srcli.training.__file__).parent / "configs" / "ablation"
CPU = torch.device("cpu")


def test_networks_are_those_of_the_training_configurations():
    trained = {path.stem: read_config(path).network for path in CONFIGURATIONS.glob("*.toml")}
    assert trained == dict(ABLATIONS)


@pytest.mark.parametrize("name", ABLATIONS)
def test_trained_weights_are_run_by_their_network(name: str, tmp_path: Path):
    entry = save_ablation(name, tmp_path)
    network = load_ablation(name, tmp_path, CPU)
    assert network is not None
    assert network.fingerprint == entry.sha256
    lr = torch.rand(1, 3, 40, 32, generator=torch.Generator().manual_seed(0))
    output = network(lr, network.spec.efforts["fast"])
    plain = network.module.reference(lr, Halting(eps=0.5))
    assert (output.image - plain.image).abs().max() < 1e-5


def test_weights_that_are_not_there_are_none(tmp_path: Path):
    assert load_ablation("ponder", tmp_path, CPU) is None


def test_weights_of_another_network_are_refused(tmp_path: Path):
    save_ablation("unshared", tmp_path)
    (tmp_path / "unshared").rename(tmp_path / "ponder")
    for path in list((tmp_path / "ponder").iterdir()):
        text = path.name.replace("unshared", "ponder")
        path.rename(path.with_name(text))
    entry = tmp_path / "ponder" / "ablation-ponder.manifest.toml"
    entry.write_text(entry.read_text().replace("unshared", "ponder"))
    with pytest.raises(WeightsError, match=r"missing confidence\.conv1\.weight"):
        load_ablation("ponder", tmp_path, CPU)


def test_a_manifest_of_several_files_is_refused(tmp_path: Path):
    save_ablation("ponder", tmp_path)
    entry = tmp_path / "ponder" / "ablation-ponder.manifest.toml"
    entry.write_text(2 * entry.read_text())
    with pytest.raises(WeightsError, match="describes 2 weights files, and may describe 1"):
        load_ablation("ponder", tmp_path, CPU)


def test_the_training_command_names_files_that_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    root = Path(srcli.training.__file__).parents[2]
    monkeypatch.chdir(root)
    words = training_command("ponder", Path("ablation")).split()
    assert words[:2] == ["srcli", "train"]
    assert words[2] == "srcli/training/configs/ablation/ponder.toml"
    assert (root / words[2]).is_file()
    assert (root / words[words.index("--init") + 1]).is_file()
    assert words[-2:] == ["-o", "ablation/ponder"]
    monkeypatch.chdir(tmp_path)
    assert Path(training_command("ponder", Path("ablation")).split()[2]).is_absolute()
    assert training_command("ponder", Path("my runs")).endswith("-o 'my runs/ponder'")
