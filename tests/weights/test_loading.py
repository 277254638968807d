"""A person's own files: read without running them, named, checked, and then used."""

import hashlib
import json
import os
import pickle  # noqa: TID251 (to make what must be refused)
import re
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from srcli.errors import UnknownModel, UsageError, WeightsError
from srcli.inference.adopt import adopt, convert
from srcli.inference.network import LoadedNetwork
from srcli.inference.recognise import closest, recognise
from srcli.models import model_names, model_spec
from srcli.weights import best_scale, box, known, manifest, network_of
from srcli.weights.checkpoint import open_checkpoint
from srcli.weights.fit import fit_of
from srcli.weights.header import parse_header
from srcli.weights.load import read_weights
from srcli.weights.manifest_file import as_toml, read_manifest

CPU = torch.device("cpu")


def state(model: str, scale: int, seed: int = 0) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return dict(model_spec(model).build(scale).state_dict())


def theirs(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """ATD-light's parameters under its authors' names, by the inverse of our map of them."""
    turned = {}
    for ours, tensor in tensors.items():
        name = ours.replace("groups.", "layers.", 1) if ours.startswith("groups.") else ours
        for old, new in (
            ("head.", "conv_first."), ("norm_in.", "patch_embed.norm."), ("norm_out.", "norm."),
            ("fuse.", "conv_after_body."), ("tail.", "upsample.0."),
            (".entries", ".residual_group.td"),
        ):  # fmt: skip
            if name.startswith(old) or (old.startswith(".") and name.endswith(old)):
                name = name.replace(old, new, 1)
        name = re.sub(r"^(layers\.\d+)\.layers\.", r"\1.residual_group.layers.", name)
        for old, new in (
            (".window.bias_table", ".attn_win.relative_position_bias_table"),
            (".window.", ".attn_win."), (".dictionary.scale", ".attn_atd.scale"),
            (".category.", ".attn_aca."), (".qkv.", ".wqkv."), (".refine.norm.", ".norm3."),
            (".refine.sigma", ".sigma"), (".ffn.depthwise.", ".convffn.dwconv.depthwise_conv.0."),
            (".ffn.", ".convffn."),
        ):  # fmt: skip
            name = name.replace(old, new)
        turned[re.sub(r"\.dictionary\.([qkv])", r".attn_atd.w\1", name)] = tensor
    return turned


class Canary:
    """What a malicious checkpoint does: it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("place", ["beside", "inside"])
def test_a_malicious_pickle_is_not_run(
    tmp_path: Path, cache: Path, legacy: bool, place: str
) -> None:
    canary, path = tmp_path / "canary", tmp_path / "evil.pth"
    tensors: dict[str, object] = dict(state("atd-light", 4))
    tensors |= {"more": Canary(canary)} if place == "inside" else {}
    beside = {"hook": Canary(canary)} if place == "beside" else {}
    torch.save({"params": tensors, **beside}, path, _use_new_zipfile_serialization=not legacy)
    for use in (
        lambda: adopt(path, "atd-light", 4),
        lambda: convert(path, tmp_path / "out.safetensors"),
        lambda: open_checkpoint(path),
    ):
        with pytest.raises(WeightsError, match="would run code it contains"):
            use()
    assert not canary.exists()
    assert not (tmp_path / "out.safetensors").exists()
    assert not cache.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.load(path, weights_only=False)
    assert canary.exists(), "the canary does not sing: this test shows nothing"


def test_a_bare_pickle_is_not_run(tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "evil.ckpt"
    path.write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(WeightsError):
        open_checkpoint(path)
    assert not canary.exists()


def test_torchscript_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is deprecated
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    with pytest.raises(WeightsError, match="TorchScript is a program"):
        open_checkpoint(path)


def test_a_checkpoint_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"bomb/data/{number}", bytes(1_000_000))
    monkeypatch.setattr("srcli.weights.pickled._LARGEST", 2_000_000)
    with pytest.raises(WeightsError, match=r"unpacks to more than 0\.002 GB"):
        open_checkpoint(path)


def test_tensors_that_claim_more_than_they_store_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.pth"
    torch.save({"head.weight": torch.zeros(1).expand(1_000_000_000)}, path)
    with pytest.raises(WeightsError, match=r"its tensors claim 4\.0 GB"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"{}", b"no checkpoint at all" * 9]
)
def test_rubbish_is_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("x.pth", "x.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=re.escape(name)):
            open_checkpoint(tmp_path / name)
    with pytest.raises(WeightsError, match="No such file"):
        open_checkpoint(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="Is a directory"):
        open_checkpoint(tmp_path)


def test_a_checkpoint_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save(state("adaformer-s", 2), path)
    whole = path.read_bytes()
    for length in (3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"cut\.pth: (not a whole|neither)") as told:
            open_checkpoint(path)
        assert "\n" not in str(told.value)


def header_of(table: object, data: bytes) -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + data


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header_of({"a": {**ONE, "shape": [1 << 40]}}, bytes(8)), "takes 8 bytes, its shape"),
        (header_of({"a": {**ONE, "shape": [1 << 32, 1 << 32, 0, 3]}}, bytes(8)), "takes 8 bytes"),
        (header_of({"a": {**ONE, "data_offsets": [0, 800], "shape": [200]}}, bytes(8)), "800"),
        (header_of({"a": {**ONE, "data_offsets": [-8, 0]}}, bytes(8)), "whole numbers"),
        (header_of({"a": {**ONE, "shape": [2.0]}}, bytes(8)), "whole numbers"),
        (header_of({"a": {**ONE, "shape": [True, 2]}}, bytes(8)), "whole numbers"),
        (header_of({"a": {**ONE, "dtype": "F33"}}, bytes(8)), "no proper type"),
        (header_of({"a": {**ONE, "data_offsets": [0]}}, bytes(8)), "no proper type"),
        (header_of({"a": ONE, "b": ONE}, bytes(8)), "b begins at byte 0, not 8"),
        (header_of({"a": ONE}, bytes(9)), "take 8 bytes, the file has 9"),
        (header_of({"a": ONE}, b""), "take 8 bytes, the file has 0"),
        (header_of({"a": 3}, bytes(8)), "no proper type"),
        (header_of([ONE], bytes(8)), "is no table"),
        (header_of(b'{"a": 1, "a": 2}', b""), "a name appears twice"),
        (header_of(b"{" * 9000, b""), "is not JSON"),
        (header_of(b"[" * 200_000, b""), "is not JSON"),
        ((1 << 62).to_bytes(8, "little") + b"{}", "its header claims"),
        (b"1234567", "its header claims"),
    ],
)
def test_a_header_that_lies(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "lies.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        open_checkpoint(path)


@given(st.data())
def test_a_damaged_header_raises_nothing_else(data: st.DataObject) -> None:
    good = save({"a": torch.zeros(2, 3), "b": torch.ones(4, dtype=torch.float16)}, {"x": "y"})
    assert parse_header(good, len(good), "good").shapes == {"a": (2, 3), "b": (4,)}
    at = data.draw(st.integers(0, len(good) - 33))
    damaged = good[:at] + data.draw(st.binary(min_size=1, max_size=9)) + good[at + 1 :]
    try:
        header = parse_header(damaged, len(damaged), "damaged")
    except WeightsError:
        pass
    else:  # then all sizes still agree
        assert sum(info.end - info.begin for info in header.tensors.values()) <= len(damaged)


def test_every_network_is_recognised_by_its_parameters() -> None:
    for name in model_names():
        for scale in model_spec(name).scales:
            shapes = {key: tuple(value.shape) for key, value in state(name, scale).items()}
            found = recognise(shapes)
            assert name in [match.model for match in found]
            assert {match.scale for match in found} == {scale}
            assert len(found) == (2 if name in ("atd-light", "pp-atd-light") else 1)


def test_names_of_the_authors_are_recognised(shared: Path) -> None:
    golden = load_file(shared / "golden" / "atd_light_x2.safetensors")
    (first, second) = recognise({name: tuple(one.shape) for name, one in golden.items()})
    assert (first.model, first.scale, first.authors) == ("atd-light", 2, True)
    assert second.model == "pp-atd-light"


def test_a_file_of_the_authors_implementation_is_imported(shared: Path, cache: Path) -> None:
    path = shared / "golden" / "atd_light_x4.safetensors"
    entry = adopt(path)
    assert (entry.name, entry.model, entry.also_for) == (
        "atd-light_x4",
        "atd-light",
        ("pp-atd-light",),
    )
    golden, held = load_file(path), read_weights(best_scale("atd-light", 4))
    assert len(held) == len(golden) - 1  # without the positions, which are computed
    assert torch.equal(held["tail.weight"], golden["upsample.0.weight"])
    assert torch.equal(held["groups.3.entries"], golden["layers.3.residual_group.td"])


def test_the_closest_network_is_told() -> None:
    shapes = {name: tuple(value.shape) for name, value in state("atd-light", 3).items()}
    del shapes["head.bias"]
    assert recognise(shapes) == ()
    near = closest(shapes)
    assert (near.model, near.scale, near.fit.missing) == ("atd-light", 3, ("head.bias",))


def test_at_most_ten_faults_are_listed() -> None:
    given_ = {f"extra{number}": (1,) for number in range(20)} | {"both": (2, 3)}
    fit = fit_of(given_, {"both": (3, 2), "lacking": ()})
    assert not fit.whole
    assert fit.faults == 22
    told = fit.describe()
    assert told.startswith("22 of its parameters are wrong: missing lacking, unknown extra0, ")
    assert told.endswith("unknown extra8, and 12 more")
    assert "both is 2x3 and not 3x2" in fit_of({"both": (2, 3)}, {"both": (3, 2)}).describe()


@pytest.mark.parametrize("place", ["params_ema", "params", "state_dict", "", "module"])
def test_an_imported_checkpoint_runs(tmp_path: Path, cache: Path, place: str) -> None:
    ours = state("atd-light", 4)
    content: dict[str, object] = dict(theirs(ours))
    assert set(content) != set(ours)
    content["relative_position_index_SA"] = torch.zeros(256, 256, dtype=torch.int64)
    if place == "module":
        content = {f"module.{name}": one for name, one in content.items()}
    elif place:
        content = {place: content, "iter": 7}
    if place == "params_ema":
        content["params"] = state("atd-light", 4, seed=5)  # the average is preferred
    torch.save(content, tmp_path / "mine.pth")
    entry = adopt(tmp_path / "mine.pth", "atd-light", 4, "my-atd")
    assert entry in known()
    assert best_scale("my-atd", 3.5) == best_scale("my-atd_x4", 4) == entry
    assert network_of("my-atd") == "atd-light"
    loaded = LoadedNetwork(best_scale("my-atd", 4), CPU, torch.float32)
    held = loaded.module.state_dict()
    assert held.keys() == ours.keys()
    assert all(torch.equal(held[name], ours[name]) for name in ours)


def test_without_a_name_it_is_the_networks(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(
        UnknownModel,
        match=r"no weights for pp-atd-light here: .*no direct download: get 103_ATD_light.*import",
    ):
        best_scale("pp-atd-light", 4)
    save_file(theirs(state("atd-light", 4)), tmp_path / "mine.safetensors")
    adopt(tmp_path / "mine.safetensors")
    assert best_scale("atd-light", 4).name == "atd-light_x4"
    assert best_scale("pp-atd-light", 4).model == "pp-atd-light"
    with pytest.raises(UsageError, match="there already: srcli weights remove atd-light_x4 first"):
        adopt(tmp_path / "mine.safetensors")


def test_file_names_of_any_kind(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / os.fsdecode(b'my "file"\x7f\xff\n\\ \xc3\xa4.pth')
    torch.save(state("atd-light", 2), path)
    entry = adopt(path, name="odd")
    assert entry.origin.startswith('imported from my "file"???\\ ä.pth, sha256 ')
    assert entry in known()


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../up", "a b", "-m", "x" * 61, "ä", "..."])
def test_names_that_cannot_be(tmp_path: Path, cache: Path, name: str) -> None:
    save_file(state("atd-light", 2), tmp_path / "mine.safetensors")
    with pytest.raises(UsageError, match="letters, digits"):
        adopt(tmp_path / "mine.safetensors", name=name)
    assert not cache.exists()


def test_what_cannot_be_imported(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "mine.safetensors"
    tensors = state("adaformer", 4)
    save_file(tensors, path)
    with pytest.raises(UsageError, match="adaformer_x4 is there already: give yours a --name"):
        adopt(path)
    with pytest.raises(UsageError, match="atd-light is a network's own name"):
        adopt(path, name="atd-light")
    with pytest.raises(WeightsError, match=r"x2, the closest: 2 of .*tail\.weight is 48x"):
        adopt(path, scale=2, name="a")
    with pytest.raises(UnknownModel, match="no model named 'edsr'"):
        adopt(path, "edsr", 4)
    with pytest.raises(UsageError, match="adaformer has no scale 9"):
        adopt(path, "adaformer", 9)
    tensors["head.bias"][3] = float("nan")
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"head\.bias holds values that are not finite"):
        adopt(path, name="a")
    assert not cache.exists()


def test_convert(tmp_path: Path) -> None:
    ours = state("atd-light", 3)
    torch.save({"params": theirs(ours)}, tmp_path / "in.pth")
    target = tmp_path / "out.safetensors"
    match = convert(tmp_path / "in.pth", target)
    assert (match.model, match.scale) == ("atd-light", 3)
    made = load_file(target)
    assert made.keys() == ours.keys()
    assert all(torch.equal(made[name], ours[name]) for name in ours)
    with pytest.raises(UsageError, match="exists; --overwrite"):
        convert(tmp_path / "in.pth", target)
    convert(tmp_path / "in.pth", target, overwrite=True)
    with pytest.raises(UsageError, match="name it so"):
        convert(tmp_path / "in.pth", tmp_path / "out.bin")
    with pytest.raises(WeightsError, match="cannot be written"):
        convert(tmp_path / "in.pth", tmp_path / "in.pth" / "out.safetensors")


def test_integers_are_no_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {"gain": torch.ones(3, dtype=torch.int32)}
    save_file(tensors, tmp_path / "x.safetensors")
    content = (tmp_path / "x.safetensors").read_bytes()
    entry = replace(
        best_scale("adaformer", 4), file="x.safetensors", folder=tmp_path, size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip
    with pytest.raises(WeightsError, match="gain is I32, parameters are real numbers"):
        read_weights(entry)


def test_manifests_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "all.toml"
    path.write_text("\n".join(as_toml(entry) for entry in manifest()), "utf-8")
    assert read_manifest(path) == read_manifest(box() / "manifest.toml") == manifest()


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@given(TEXT, st.lists(TEXT), st.dictionaries(TEXT, st.floats(0, 99)))
def test_any_text_comes_through_a_manifest(
    tmp_path_factory: pytest.TempPathFactory, text: str, urls: list[str], psnr: dict[str, float]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    entry = replace(manifest()[0], licence=text, urls=tuple(urls), psnr_y=psnr)
    path.write_text(as_toml(entry), "utf-8")
    assert read_manifest(path) == (entry,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weights = 3", "not a manifest"),
        ("weights = [3]", "not a list of tables"),
        ('[[weights]]\nname = "a"', "model, scale, file, size, sha256.* missing"),
        ("{}{}", "not a manifest"),
        ("@file = 'a/../b'", "is not a plain file name"),
        ("@file = '..'", "is not a plain file name"),
        ("@name = ''", "is not a plain file name"),
        ("@size = 0", "needs its size and sha256"),
        ("@size = 'large'", "is not a whole number"),
        ("@urls = 'https://a'", "is not a list"),
        ("@price = 3", "unknown key 'price'"),
        ("@psnr_y = 3", "is not a table of figures"),
        ("@name = 3", "is not text"),
    ],
)
def test_a_manifest_that_is_none(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    if text.startswith("@"):
        key = text[1:].split(" =")[0]
        good = as_toml(best_scale("adaformer", 4)).splitlines()
        text = "\n".join([*(line for line in good if not line.startswith(f"{key} =")), text[1:]])
    path = tmp_path / "manifest.toml"
    path.write_text(text, "utf-8")
    monkeypatch.setenv("SRCLI_WEIGHTS_MANIFEST", str(path))
    with pytest.raises(WeightsError, match=message):
        known()
