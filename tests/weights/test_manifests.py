"""Manifests: what is written comes back, and what is none is refused."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srcli.errors import WeightsError
from srcli.weights import best_scale, box, known, manifest
from srcli.weights.manifest_file import WeightsEntry, as_toml, read_manifest

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


def test_manifests_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "all.toml"
    path.write_text("\n".join(as_toml(entry) for entry in manifest()), "utf-8")
    assert read_manifest(path) == read_manifest(box() / "manifest.toml") == manifest()


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
        ("@sha256 = 'abc'", "is not 64 hexadecimal digits"),
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


def test_a_hash_in_capitals_is_the_same(tmp_path: Path) -> None:
    entry = manifest()[0]
    path = tmp_path / "capitals.toml"
    path.write_text(as_toml(replace(entry, sha256=entry.sha256.upper())), "utf-8")
    assert read_manifest(path) == (entry,)


def test_a_manifest_is_read_again_only_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "team.toml"
    monkeypatch.setenv("SRCLI_WEIGHTS_MANIFEST", str(path))
    reads: list[Path] = []

    def counted(one: Path, folder: Path | None = None) -> tuple[WeightsEntry, ...]:
        reads.append(one)
        return read_manifest(one, folder)

    module = import_module("srcli.weights.manifest")  # a function of that name hides it
    monkeypatch.setattr(module, "read_manifest", counted)
    for name in ("first", "second"):
        path.write_text(as_toml(replace(manifest()[0], name=name, urls=(), page="")))
        for _ in range(3):
            assert name in {entry.name for entry in known()}
    assert reads.count(path) == 2
    assert "first" not in {entry.name for entry in known()}
    path.unlink()
    with pytest.raises(WeightsError, match=r"team\.toml"):
        known()
