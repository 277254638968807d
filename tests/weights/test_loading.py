"""A person's own files: read without running them, named, checked, and then used."""

import json
import os
import pickle  # noqa: TID251 (to make what must be refused)
import re
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from srcli.errors import WeightsError
from srcli.weights.checkpoint import open_checkpoint
from srcli.weights.header import parse_header
from srcli.weights.import_weights import convert, import_weights
from tests.weights.states import state


class Canary:
    """A malicious checkpoint's effect: it makes a file."""

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
        lambda: import_weights(path, "atd-light", 4),
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
    monkeypatch.setattr("srcli.weights.checkpoint._LARGEST", 2_000_000)
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
