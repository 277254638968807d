"""A teacher: found by name or file, run whole, its outputs cached whole and told apart."""

import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file

from srcli.data.images import ImageStore, find_sources
from srcli.data.targets import TENSOR, TargetImages
from srcli.errors import SrcliError, UsageError, WeightsError
from srcli.inference.network import LoadedNetwork
from srcli.models import model_spec
from srcli.models.adaformer import AdaFormer
from srcli.models.smfanet import SMFANet, SMFANetConfig
from srcli.models.spec import SROutput
from srcli.training import targets
from srcli.training.config import DistillationConfig
from srcli.training.distributed import ProcessGroup
from srcli.training.reports import TeacherReport
from srcli.training.targets import TeacherCache
from srcli.training.teacher import Teacher, find_teacher, teacher_upscaler
from tests.forked_python import run_forked

CPU = torch.device("cpu")
ALONE = ProcessGroup(0, 1, CPU)
SMALL_X2 = Path(__file__).parent / "adaformer-s_x2.safetensors"  # trained; not in the box
PLAIN = DistillationConfig(str(SMALL_X2), licence="CC-BY-4.0")

Fill = Callable[..., tuple[TargetImages, list[TeacherReport], list[str]]]


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return find_teacher(PLAIN, 2)


@pytest.fixture(scope="module")
def network() -> AdaFormer:
    network = model_spec("adaformer-s").build(2)
    network.load_state_dict({n: t.float() for n, t in load_tensors(SMALL_X2).items()})
    assert isinstance(network, AdaFormer)
    return network.eval()


@pytest.fixture
def other(tmp_path: Path) -> Teacher:
    """Weights with one parameter changed."""
    given = load_tensors(SMALL_X2)
    save_file({**given, "tail.bias": given["tail.bias"] + 0.1}, tmp_path / "other.safetensors")
    return find_teacher(DistillationConfig(str(tmp_path / "other.safetensors")), 2)


@pytest.fixture
def fill(images: Path, tmp_path: Path) -> Fill:
    """Fill a cache, and return its images, the reports and the warnings."""

    def filled(
        teacher: Teacher, *, ensemble: bool = False, own_size: bool = False
    ) -> tuple[TargetImages, list[TeacherReport], list[str]]:
        sources, _ = find_sources([images], 2, 32, [0.6], 60)
        cache = TeacherCache(
            teacher, ImageStore(sources, 2, 10**8), tmp_path / "cache", ensemble, own_size
        )
        reports, warnings = list[TeacherReport](), list[str]()
        found = cache.fill(ALONE, torch.float32, tell=reports.append, warn=warnings.append)
        return found, reports, warnings

    return filled


def plainly(network: AdaFormer, lr: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's output for (h, w, 3), in 8-bit units, not rounded."""
    image = torch.as_tensor(np.ascontiguousarray(lr)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        return network(image).image[0].permute(1, 2, 0).numpy() * 255


def test_an_output_is_the_networks_own_for_the_whole_image(
    teacher: Teacher, network: AdaFormer, photo: NDArray[np.uint8]
):
    got = teacher.runner(CPU, torch.float32, self_ensemble=False)(photo)
    assert got.shape == (80, 112, 3)
    difference = np.abs(got - plainly(network, photo).clip(0, 255))
    assert difference.max() <= 0.501  # rounded to the nearest


def test_self_ensemble_is_the_plain_mean_of_eight(
    teacher: Teacher, network: AdaFormer, photo: NDArray[np.uint8]
):
    got = teacher.runner(CPU, torch.float32, self_ensemble=True)(photo)
    eight = [
        np.rot90(plainly(network, np.rot90(image, turn)), -turn)[:, :: 1 if image is photo else -1]
        for image in (photo, photo[:, ::-1])
        for turn in range(4)
    ]
    assert np.abs(got - np.mean(eight, 0).clip(0, 255)).max() <= 0.501
    once = teacher.runner(CPU, torch.float32, self_ensemble=False)(photo)
    assert np.abs(got.astype(int) - once).max() > 1


@pytest.mark.parametrize("self_ensemble", [False, True])
def test_few_launches_give_what_bands_give_where_memory_runs_out_too(
    self_ensemble: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    parameters = SMFANet(SMFANetConfig(2, 36, 8)).state_dict()
    network = LoadedNetwork.of_parameters(model_spec("smfanet"), 2, parameters, CPU, torch.float32)
    lr = torch.rand(1, 3, 33, 20)
    batches: list[int] = []
    reference, room = SMFANet.reference, [8]

    def limited(self: SMFANet, lr: torch.Tensor) -> SROutput:
        batches.append(len(lr))
        if len(lr) > room[0]:
            raise torch.OutOfMemoryError
        return reference(self, lr)

    monkeypatch.setattr(SMFANet, "reference", limited)
    slowly, quickly = (
        teacher_upscaler(network, self_ensemble=self_ensemble, few_launches=few)
        for few in (False, True)
    )
    with torch.inference_mode():
        wanted = slowly(lr)
        assert not batches
        torch.testing.assert_close(quickly(lr), wanted, atol=1e-5, rtol=0)
        assert batches == ([4, 4] if self_ensemble else [1])
        room[0] = 0
        assert torch.equal(quickly(lr), wanted)


def test_what_overflows_in_low_precision_is_computed_again_in_fp32(
    teacher: Teacher, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
):
    wanted = teacher.runner(CPU, torch.float32, self_ensemble=False)(photo)

    def overflows(self: AdaFormer, dtype: torch.dtype) -> None:
        assert self.tail.bias is not None
        self.tail.bias.fill_(torch.inf)

    monkeypatch.setattr(AdaFormer, "lower_precision", overflows)
    np.testing.assert_array_equal(
        teacher.runner(CPU, torch.bfloat16, self_ensemble=False)(photo), wanted
    )


def test_a_file_of_a_name_in_the_box_is_the_same_teacher(teacher: Teacher, tmp_path: Path):
    shutil.copy(SMALL_X2, tmp_path / "mine.safetensors")
    of_file = find_teacher(DistillationConfig(str(tmp_path / "mine.safetensors")), 2)
    assert of_file.sha256 == teacher.sha256
    assert (of_file.licence, of_file.model) == ("not stated", "adaformer-s")
    state = {"params": load_tensors(SMALL_X2)}
    torch.save(state, tmp_path / "mine.pth")
    pickled = find_teacher(DistillationConfig(str(tmp_path / "mine.pth"), licence="MIT"), 2)
    assert pickled.sha256 != teacher.sha256
    assert "mine.pth (adaformer-s x2), sha256" in pickled.provenance(self_ensemble=False)
    assert pickled.provenance(self_ensemble=False).endswith("licence: MIT")
    assert all(torch.equal(pickled.parameters[n], t) for n, t in teacher.parameters.items())


def test_unsuitable_teachers_get_one_line(tmp_path: Path):
    (tmp_path / "text.pth").write_text("no weights")
    given = load_tensors(SMALL_X2)
    save_file({"other.weight": torch.zeros(3)}, tmp_path / "strange.safetensors")
    save_file({**given, "tail.bias": given["tail.bias"] * torch.nan}, tmp_path / "nan.safetensors")
    wrong = {
        ("none-such", 2): "distillation.teacher: no weights named 'none-such'",
        (str(SMALL_X2), 4): r"adaformer-s_x2.safetensors is for x2, .* train is x4; hint:",
        ("adaformer-s", 3): "adaformer-s is for x2, x4, the network to train is x3; hint:",
        (str(tmp_path / "gone.pth"), 2): "gone.pth: No such file .*; hint: name a file",
        (str(tmp_path / "text.pth"), 2): "text.pth.*; hint: name a file",
        (
            str(tmp_path / "strange.safetensors"),
            2,
        ): "matches no supported network.*; hint: name a",
        (str(tmp_path / "nan.safetensors"), 2): "is damaged: tail.bias is not finite",
    }
    for (name, scale), line in wrong.items():
        with pytest.raises(SrcliError, match=line) as caught:
            find_teacher(DistillationConfig(name), scale)
        assert "\n" not in str(caught.value)
        assert type(caught.value).__name__ in {"UsageError", "UnknownModel", "WeightsError"}


def test_every_source_has_its_output_once(fill: Fill, teacher: Teacher, network: AdaFormer):
    found, reports, warnings = fill(teacher, own_size=True)
    assert [(r.images, r.of) for r in reports] == [(0, 9), (9, 9)]
    assert reports[-1].seconds_left == 0
    sources = [(72, 84), (42, 50)] * 3
    assert [load_file(p)[TENSOR].shape[:2] for p in found.files] == sources
    assert [n for n, _ in found.own_size] == [0, 0, 2, 2, 4, 4]
    assert load_file(found.own_size[1][1])[TENSOR].shape == (144, 168, 3)
    whole = load_file(found.files[0])[TENSOR]
    np.testing.assert_array_equal(found.patch(0, 6, 8, 20), whole[6:26, 8:28])
    again, reports, warnings = fill(teacher, own_size=True)
    assert again == found
    assert [(r.images, r.of) for r in reports] == [(9, 9)]
    assert not warnings


def test_teachers_and_settings_lie_side_by_side(fill: Fill, teacher: Teacher, other: Teacher):
    first = fill(teacher)[0].files
    contents = [path.read_bytes() for path in first]
    for found in (fill(other)[0].files, fill(teacher, ensemble=True)[0].files):
        assert not set(found) & set(first)
        assert not any(path.read_bytes() in contents for path in found)
    assert [path.read_bytes() for path in first] == contents
    assert fill(teacher)[1][0].images == len(first)


def test_a_changed_image_gets_a_new_output(fill: Fill, teacher: Teacher, images: Path):
    first = fill(teacher)[0].files
    Image.open(images / "2.png").transpose(Image.Transpose.ROTATE_180).save(images / "2.png")
    found, reports, warnings = fill(teacher)
    assert [one == two for one, two in zip(first, found.files, strict=True)] == [True] * 4 + [
        False
    ] * 2
    assert (reports[0].images, reports[0].of) == (4, 6)
    assert not warnings


def test_damaged_or_foreign_outputs_are_computed_again_and_that_said(
    fill: Fill, teacher: Teacher, other: Teacher
):
    files = fill(teacher)[0].files
    contents, pixels = [p.read_bytes() for p in files], [load_file(p)[TENSOR] for p in files]
    flipped = bytearray(contents[0])
    flipped[-1] ^= 1
    files[0].write_bytes(flipped)
    files[1].write_bytes(contents[1][:-10])
    files[2].write_bytes(fill(other)[0].files[2].read_bytes())
    files[3].write_bytes(b"")
    files[4].unlink()
    found, reports, warnings = fill(teacher)
    assert (reports[0].images, reports[0].of) == (1, 6)
    words = ["its checksum is another", "is damaged", "is of another teacher", "is damaged"]
    assert len(warnings) == len(words)
    for warning, word, path in zip(warnings, words, files, strict=False):
        assert word in warning
        assert str(path) in warning
        assert "\n" not in warning
    for path, wanted in zip(found.files, pixels, strict=True):
        np.testing.assert_array_equal(load_file(path)[TENSOR], wanted)


KILLED = """
import os, signal, sys
from srcli.training.__main__ import _main
sync, synced = os.fsync, []
def fsync(file):
    synced.append(file)
    if len(synced) == 5:  # an output syncs its file, then the folder: in the midst of the third
        os.kill(os.getpid(), signal.SIGKILL)
    sync(file)
os.fsync = fsync
_main()
"""


@pytest.mark.slow
def test_a_killed_pass_goes_on_where_it_was(config_toml: Path, tmp_path: Path):
    text = config_toml.read_text()
    config_toml.write_text(f'{text}distillation = {{teacher = "{SMALL_X2}"}}\n')
    words = [str(config_toml), "--steps", "2", "--out"]
    ended = run_forked(["-c", KILLED, *words, str(tmp_path / "run")])
    assert ended.returncode == -signal.SIGKILL
    cache = tmp_path / "run" / "teacher"
    before = {path: path.stat().st_mtime_ns for path in cache.glob("*.safetensors")}
    assert len(before) == 2
    ended = run_forked(["-m", "srcli.training", *words, str(tmp_path / "run")])
    assert ended.returncode == 0, ended.stderr
    assert f"teacher: {len(before)} of 3 images\n" in ended.stderr
    assert "teacher: 3 of 3 images\n" in ended.stderr
    assert "warning: " not in ended.stderr.replace("warning: [network] is none", "")
    assert before.items() <= {p: p.stat().st_mtime_ns for p in cache.iterdir()}.items()


def test_too_little_memory_is_said_before_anything_is_computed(
    fill: Fill, teacher: Teacher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(targets, "free_memory", lambda _: 10**6)
    line = r"not enough memory on cpu for the teacher adaformer-s_x2.* on the whole of .*, 84x72 "
    with pytest.raises(UsageError, match=f"{line}LR px: about 0.0 GB, .* hint: distillation.own"):
        fill(teacher, own_size=True)
    assert not (tmp_path / "cache").exists()


def test_memory_that_runs_out_on_the_way_is_one_line(
    fill: Fill, teacher: Teacher, monkeypatch: pytest.MonkeyPatch
):
    def forward(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")

    monkeypatch.setattr(AdaFormer, "forward", forward)
    with pytest.raises(UsageError, match=r"42x36 LR px: it ran out; hint: cut the image"):
        fill(teacher)


def test_values_that_are_not_finite_are_refused(fill: Fill, teacher: Teacher):
    wild = {n: t * 1e30 if n == "tail.weight" else t for n, t in teacher.parameters.items()}
    with pytest.raises(WeightsError, match=r"not finite for an image of 42x36 px, in fp32 too"):
        fill(replace(teacher, parameters={**wild, "tail.bias": wild["tail.bias"] * torch.inf}))


def test_a_cache_that_cannot_be_written_is_one_line(fill: Fill, teacher: Teacher, tmp_path: Path):
    (tmp_path / "cache").touch()
    with pytest.raises(UsageError, match=r"cannot .*cache.*; hint: distillation.cache takes"):
        fill(teacher)


def test_an_output_that_is_gone_ends_the_run_with_a_remedy(fill: Fill, teacher: Teacher):
    found = fill(teacher)[0]
    found.files[0].unlink()
    with pytest.raises(UsageError, match=r"cannot be read any more: .*; hint: --resume computes"):
        found.patch(0, 0, 0, 4)


def test_an_image_that_cannot_be_decoded_has_no_output(fill: Fill, teacher: Teacher, images: Path):
    path = images / "1.png"
    path.write_bytes(path.read_bytes()[:600])  # the header is whole, the pixels are not
    found, reports, _ = fill(teacher, own_size=True)
    assert reports[-1].images == 9
    assert [file.exists() for file in found.files] == [True, True, False, False, True, True]
