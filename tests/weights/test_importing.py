"""Files of other people: recognised by their parameters, named, converted, and then used."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from srcli.errors import UnknownModel, UsageError, WeightsError
from srcli.inference.network import LoadedNetwork
from srcli.models import model_names, model_spec
from srcli.weights import best_scale, known, network_of, weights_named
from srcli.weights.identify import closest, match_parameters
from srcli.weights.import_weights import convert, import_weights
from srcli.weights.load import fit_of, read_weights
from srcli.weights.local_files import remove_weights
from tests.weights.states import CPU, published_swinir, state, theirs


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 4))])
def test_every_network_is_recognised_by_its_parameters(scale: int) -> None:
    names = [name for name in model_names() if scale in model_spec(name).scales]
    assert len(names) == len(model_names())
    for name in names:
        shapes = {key: tuple(value.shape) for key, value in state(name, scale).items()}
        found = match_parameters(shapes)
        assert name in [match.model for match in found]
        assert {match.scale for match in found} == {scale}
        assert len(found) == (2 if name in ("atd-light", "pp-atd-light") else 1)


def test_names_of_the_authors_are_recognised(shared: Path) -> None:
    golden = load_file(shared / "golden" / "atd_light_x2.safetensors")
    (first, second) = match_parameters({name: tuple(one.shape) for name, one in golden.items()})
    assert (first.model, first.scale, first.authors) == ("atd-light", 2, True)
    assert second.model == "pp-atd-light"


def test_a_file_of_the_authors_implementation_is_imported(shared: Path, cache: Path) -> None:
    path = shared / "golden" / "atd_light_x4.safetensors"
    entry = import_weights(path)
    assert (entry.name, entry.model, entry.also_for) == (
        "atd-light_x4",
        "atd-light",
        ("pp-atd-light",),
    )
    golden, held = load_file(path), read_weights(best_scale("atd-light", 4))
    assert len(held) == len(golden) - 1  # without the positions, which are computed
    assert torch.equal(held["tail.weight"], golden["upsample.0.weight"])
    assert torch.equal(held["groups.3.entries"], golden["layers.3.residual_group.td"])


def test_the_authors_file_of_swinir_is_imported_without_its_tables(
    tmp_path: Path, cache: Path
) -> None:
    given = published_swinir(2)
    torch.save({"params": given}, tmp_path / "swinir.pth")
    entry = import_weights(tmp_path / "swinir.pth")
    assert (entry.name, entry.model, entry.architecture) == ("swinir-light_x2", "swinir-light", "")
    held = read_weights(entry)
    assert len(held) == len(given) - 24 - 12
    table = "layers.3.residual_group.blocks.5.attn.relative_position_bias_table"
    assert torch.equal(held["groups.3.layers.5.window.bias_table"], given[table])
    assert LoadedNetwork(entry, CPU, torch.float32).spec.name == "swinir-light"


def test_the_closest_network_is_told() -> None:
    shapes = {name: tuple(value.shape) for name, value in state("atd-light", 3).items()}
    del shapes["head.bias"]
    assert match_parameters(shapes) == ()
    near = closest(shapes)
    assert (near.model, near.scale, near.fit.missing) == ("atd-light", 3, ("head.bias",))


def test_faults_have_the_names_of_the_file(tmp_path: Path, cache: Path) -> None:
    """Also of what is missing: as its authors would call it, not as we do."""
    path = tmp_path / "theirs.safetensors"
    tensors = theirs(state("atd-light", 4))
    for name in ("conv_first.bias", "layers.2.residual_group.td", "layers.1.residual_group."
                 "layers.4.convffn.dwconv.depthwise_conv.0.weight"):  # fmt: skip
        del tensors[name]
    wrong = "layers.3.residual_group.layers.0.attn_win.relative_position_bias_table"
    tensors[wrong] = torch.zeros(7, 4)
    save_file(tensors | {"layers.0.odd": torch.zeros(1)}, path)
    for model in (None, "pp-atd-light"):
        with pytest.raises(WeightsError) as caught:
            import_weights(path, model)
        told = str(caught.value)
        assert f"fit {model or 'atd-light'} x4" in told
        assert "5 of its parameters are wrong: " in told
        for fault in (
            "missing conv_first.bias", "missing layers.2.residual_group.td",
            "missing layers.1.residual_group.layers.4.convffn.dwconv.depthwise_conv.0.weight",
            "unknown layers.0.odd", f"{wrong} is 7x4 and not 961x4",
        ):  # fmt: skip
            assert fault in told
    assert not cache.exists()


EDSR = {
    "head.0.weight": (64, 3, 3, 3), "head.0.bias": (64,),
    **{f"body.{i}.body.{j}.weight": (64, 64, 3, 3) for i in range(16) for j in (0, 2)},
    "tail.1.weight": (3, 64, 3, 3), "tail.1.bias": (3,),
}  # fmt: skip
OMNISR = {
    "input.weight": (64, 3, 3, 3), "output.weight": (64, 64, 3, 3), "up.0.weight": (48, 64, 3, 3),
    **{f"residual_layer.{i}.layer.fuse.weight": (64, 64, 3, 3) for i in range(5)},
}  # fmt: skip


@pytest.mark.parametrize("shapes", [EDSR, OMNISR])
def test_networks_that_srcli_has_not(
    tmp_path: Path, cache: Path, shapes: dict[str, tuple[int, ...]]
) -> None:
    path = tmp_path / "other.pth"
    torch.save({"params": {name: torch.zeros(shape) for name, shape in shapes.items()}}, path)
    line = rf"matches no supported network \(first parameters: {', '.join(list(shapes)[:3])}\)"
    with pytest.raises(WeightsError, match=line):
        import_weights(path)
    with pytest.raises(WeightsError, match=r"does not fit atd-light x4: .*missing"):
        import_weights(path, "atd-light", 4)


def test_weights_of_another_configuration_are_refused(tmp_path: Path, cache: Path) -> None:
    """Another ratio has the same shapes: only the file's own word tells them apart."""
    path, tensors = tmp_path / "mixer.safetensors", state("camixer-atd-light", 4)
    save_file(tensors, path, {"model": "custom", "scale": "4"})
    for model in (None, "camixer-atd-light"):
        with pytest.raises(WeightsError, match=r"fit camixer-.* x4.*: shapes agree, but it was"):
            import_weights(path, model)
    with pytest.raises(WeightsError, match="another configuration"):
        convert(path, tmp_path / "out.safetensors")
    save_file(tensors, path, {"model": "camixer-atd-light", "scale": "4"})
    assert import_weights(path).name == "camixer-atd-light_x4"


def test_at_most_ten_faults_are_listed() -> None:
    given_ = {f"extra{number}": (1,) for number in range(20)} | {"both": (2, 3)}
    fit = fit_of(given_, {"both": (3, 2), "lacking": ()})
    assert not fit.whole
    assert fit.faults == 22
    told = fit.describe()
    assert told.startswith("22 of its parameters are wrong: missing lacking, unknown extra0, ")
    assert told.endswith("unknown extra8, and 12 more")
    assert "both is 2x3 and not 3x2" in fit_of({"both": (2, 3)}, {"both": (3, 2)}).describe()


@pytest.mark.slow
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
    entry = import_weights(tmp_path / "mine.pth", "atd-light", 4, "my-atd")
    assert entry in known()
    assert best_scale("my-atd", 3.5) == best_scale("my-atd_x4", 4) == entry
    assert network_of("my-atd") == "atd-light"
    loaded = LoadedNetwork(best_scale("my-atd", 4), CPU, torch.float32)
    held = loaded.module.state_dict()
    assert held.keys() == ours.keys()
    assert all(torch.equal(held[name], ours[name]) for name in ours)


def test_without_a_name_it_is_the_networks(tmp_path: Path, cache: Path) -> None:
    assert best_scale("pp-atd-light", 4).converted  # offered by its authors, and not here
    save_file(theirs(state("atd-light", 4)), tmp_path / "mine.safetensors")
    import_weights(tmp_path / "mine.safetensors")
    assert best_scale("atd-light", 4).name == "atd-light_x4"
    assert best_scale("pp-atd-light", 4).model == "pp-atd-light"
    with pytest.raises(
        UsageError, match="there already; hint: srcli weights remove atd-light_x4 first"
    ):
        import_weights(tmp_path / "mine.safetensors")


def test_file_names_of_any_kind(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / os.fsdecode(b'my "file"\x7f\xff\n\\ \xc3\xa4.pth')
    torch.save(state("atd-light", 2), path)
    entry = import_weights(path, name="odd")
    assert entry.origin.startswith('imported from my "file"???\\ ä.pth, sha256 ')
    assert entry in known()


@pytest.mark.parametrize(
    "name", ["", ".hidden", "a/b", "../up", "a b", "-m", "_a", "x" * 61, "ä", "..."]
)
def test_names_that_cannot_be(tmp_path: Path, cache: Path, name: str) -> None:
    save_file(state("atd-light", 2), tmp_path / "mine.safetensors")
    with pytest.raises(UsageError, match="letters, digits"):
        import_weights(tmp_path / "mine.safetensors", name=name)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("name", "model", "line"),
    [
        ("adaformer_x4", "adaformer-s", "adaformer_x4 is the name of adaformer_x4 already"),
        ("AdaFormer-S_x4", "adaformer-s", "is the name of adaformer-s_x4 already"),
        ("my", "adaformer", "my is the name of my_x2 already"),
        ("MY", "adaformer-s", "MY is the name of my_x2 already"),
    ],
)
def test_names_that_mean_other_weights(
    tmp_path: Path, cache: Path, name: str, model: str, line: str
) -> None:
    save_file(state("adaformer-s", 2), tmp_path / "small.safetensors")
    import_weights(tmp_path / "small.safetensors", name="my")
    save_file(state(model, 4), tmp_path / "mine.safetensors")
    with pytest.raises(UsageError, match=line):
        import_weights(tmp_path / "mine.safetensors", name=name)
    save_file(state("adaformer-s", 4), tmp_path / "further.safetensors")
    assert import_weights(tmp_path / "further.safetensors", name="my").name == "my_x4"


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_types_that_cannot_be_computed_with(tmp_path: Path, cache: Path) -> None:
    tensors = state("adaformer-s", 4)
    name = next(iter(tensors))
    torch.save(tensors | {name: tensors[name].to(torch.float8_e4m3fn)}, tmp_path / "f8.pth")
    with pytest.raises(WeightsError, match=f"{name} is float8_e4m3fn: only 16 to 64 bit floats"):
        import_weights(tmp_path / "f8.pth", name="f8")
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    torch.save({"a": nested}, tmp_path / "nested.pth")
    with pytest.raises(WeightsError, match="a is no plain array"):
        import_weights(tmp_path / "nested.pth")


def test_a_network_is_removed_with_the_scales_that_are_here(tmp_path: Path, cache: Path) -> None:
    save_file(state("atd-light", 4), tmp_path / "mine.safetensors")
    import_weights(tmp_path / "mine.safetensors")
    gone = remove_weights(weights_named("atd-light"))
    assert sorted(path.name for path in gone) == ["atd-light_x4.safetensors", "atd-light_x4.toml"]
    with pytest.raises(UsageError, match=r"atd-light_x2, .*, atd-light_x4 are not here"):
        remove_weights(weights_named("atd-light"))


def test_what_cannot_be_imported(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "mine.safetensors"
    tensors = state("adaformer", 4)
    save_file(tensors, path)
    with pytest.raises(
        UsageError, match="adaformer_x4 is there already; hint: give yours a --name"
    ):
        import_weights(path)
    with pytest.raises(UsageError, match="atd-light is a network's own name"):
        import_weights(path, name="atd-light")
    with pytest.raises(WeightsError, match=r"x2, the closest: 2 of .*tail\.weight is 48x"):
        import_weights(path, scale=2, name="a")
    with pytest.raises(UnknownModel, match="no model named 'edsr'"):
        import_weights(path, "edsr", 4)
    with pytest.raises(UsageError, match="adaformer has no scale 9"):
        import_weights(path, "adaformer", 9)
    tensors["head.bias"][3] = float("nan")
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"head\.bias holds values that are not finite"):
        import_weights(path, name="a")
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
    with pytest.raises(UsageError, match="exists; hint: --overwrite"):
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
