"""Bringing a person's own file in: checked, renamed, written as safetensors, registered."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from srcli.atomic import atomic_file
from srcli.defaults import AUTO
from srcli.errors import UsageError, WeightsError
from srcli.models import model_names, model_spec
from srcli.weights import RECOMMENDED, Source, WeightsEntry, known, manifest
from srcli.weights.checkpoint import Checkpoint, open_checkpoint
from srcli.weights.hashes import FileHashes, hashes_of, mismatch
from srcli.weights.identify import Match, closest, match_parameters
from srcli.weights.local_files import imports, is_here
from srcli.weights.manifest_file import as_toml

__all__ = ["convert", "identify", "import_weights", "published_content", "require_network"]

_TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def identify(checkpoint: Checkpoint, model: str | None, scale: int | None) -> tuple[Match, ...]:
    """The networks that a file is for, the likeliest first.

    Args:
        checkpoint: The file.
        model: The network it shall be for; None: what its parameters say.
        scale: Likewise.

    Raises:
        WeightsError: It fits none of them; says what is wrong with the closest.
        UsageError: There is no such network, or not for that scale.
    """
    found = tuple(
        match
        for match in match_parameters(checkpoint.shapes, checkpoint.notes)
        if model in (None, match.model) and scale in (None, match.scale)
    )
    if found:
        return found
    best = closest(checkpoint.shapes, model, scale)
    if model is None and best.stranger:
        raise WeightsError(
            f"{checkpoint.path} matches no supported network (first parameters: {best.beginning})"
        )
    raise WeightsError(
        f"{checkpoint.path} does not fit {best.model} x{best.scale}"
        f"{', the closest' if model is None else ''}: {best.describe()}"
    )


def convert(source: Path, target: Path, *, overwrite: bool = False) -> Match:
    """Write the parameters of a file as safetensors, under srcli's names for them.

    Raises:
        WeightsError: It cannot be read safely, fits no network, or cannot be written.
        UsageError: The target exists, or is no safetensors file by its name.
    """
    if target.suffix != ".safetensors":
        raise UsageError(f"{target}: what is written is safetensors; hint: name it so")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists; hint: --overwrite replaces it")
    checkpoint = open_checkpoint(source)
    match = identify(checkpoint, None, None)[0]
    _write(target, _content(checkpoint, match))
    return match


def import_weights(
    source: Path, model: str | None = None, scale: int | None = None, name: str | None = None
) -> WeightsEntry:
    """Copy a file into the folder of imported weights, so that `-m` finds it.

    Args:
        source: A safetensors file or PyTorch checkpoint.
        model: The network it is for; None: what its parameters say.
        scale: The scale it is for; None: likewise.
        name: By which `-m` finds it; None: the network's own name.

    Raises:
        WeightsError: It cannot be read safely, fits no such network, or cannot be kept.
        UsageError: The name cannot be used, or is taken.
    """
    _check_name(name)
    checkpoint = open_checkpoint(source)
    match = identify(checkpoint, model, scale)[0]
    entry_name = f"{name or match.model}_x{match.scale}"
    _refuse_taken(entry_name, name, match.model)
    content = _content(checkpoint, match)
    found = _hashes(source)
    folder = imports().absolute()
    entry = WeightsEntry(
        name=entry_name,
        model=match.model,
        scale=match.scale,
        file=f"{entry_name}.safetensors",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="not stated",
        training_data="not stated",
        origin=f"imported from {_printable(source.name)}, sha256 {found.sha256}",
        psnr_protocol="not measured",
        variant=name or "",
        also_for=tuple(
            m.model for m in match_parameters(checkpoint.shapes) if m.model != match.model
        ),
        folder=folder,
    )
    entry = _as_published(entry, found)
    _write(folder / entry.file, content)
    _write(folder / f"{entry_name}.toml", as_toml(entry).encode())
    return entry


def require_network(entry: WeightsEntry) -> None:
    """Refuse weights of a network that is not in the registry, before they are downloaded.

    Raises:
        WeightsError: This srcli is older than the manifest.
    """
    if entry.model not in model_names():
        raise WeightsError(
            f"{entry.name} is for the network {entry.model}, which this srcli does not have (have "
            f"{', '.join(model_names())}); hint: install a newer srcli"
        )


def published_content(entry: WeightsEntry, source: Path) -> bytes:
    """The safetensors file of a published checkpoint: under our names, and checked as an import.

    Args:
        entry: What the checkpoint shall be.
        source: The checkpoint; no code in it is run.

    Raises:
        WeightsError: Names, shapes, types or values are not those of the entry's network.
    """
    checkpoint = open_checkpoint(source)
    return _content(checkpoint, identify(checkpoint, entry.model, entry.scale)[0])


def _check_name(name: str | None) -> None:
    if name is None:
        return
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"name {name!r}; hint: use up to 60 letters, digits, '-', '_' and '.', "
            "a letter or digit first"
        )
    if name == RECOMMENDED:
        raise UsageError(f"{name} is reserved by srcli weights download; hint: use another --name")
    if name == AUTO:
        raise UsageError(f"{name} is reserved: -m {name} chooses weights; hint: use another --name")
    if name in model_names():
        raise UsageError(f"{name} is a network's own name; hint: leave out --name, or use another")


def _refuse_taken(entry_name: str, name: str | None, model: str) -> None:
    """An import never takes the place of weights that work, nor a name that means others.

    Names that differ in case alone are one: so they are to file systems.
    """
    for entry in known():
        if name is not None and _means_others(name, entry, model):
            raise UsageError(
                f"{name} is the name of {entry.name} already; hint: use another --name"
            )
        if _alike(entry.name, entry_name) and not _to_be_had(entry):
            remedy = f"srcli weights remove {entry_name} first, or use another --name"
            if entry.source is not Source.FOLDER:
                remedy = "give yours a --name" if name is None else "use another --name"
            raise UsageError(f"{entry_name} is there already; hint: {remedy}")


def _to_be_had(entry: WeightsEntry) -> bool:
    """True for weights that the manifest knows by address alone: an import may be that file."""
    return entry.source is Source.BY_HAND or (entry.converted and not is_here(entry))


def _means_others(name: str, entry: WeightsEntry, model: str) -> bool:
    """Tell if `-m name` would mean these weights too, though they are another network's."""
    others = entry.model != model or entry.variant != name
    return _alike(name, entry.name) or (others and _alike(name, entry.variant))


def _alike(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _content(checkpoint: Checkpoint, match: Match) -> bytes:
    """The safetensors file: parameters as srcli has them, in the types they had."""
    given = checkpoint.tensors()
    plain = torch.contiguous_format
    tensors = {
        ours: given[theirs].detach().clone(memory_format=plain)
        for theirs, ours in match.names.items()
    }
    _check_values(checkpoint.path, tensors)
    convert_authors = model_spec(match.model).convert_authors
    if match.authors and convert_authors is not None:
        tensors = convert_authors(tensors)
    return save(tensors, {"model": match.model, "scale": str(match.scale)})


def _check_values(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype not in _TYPES:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(f"{path}: {name} is {kind}: only 16 to 64 bit floats can be used")
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path}: {name} holds values that are not finite real numbers")


def _write(path: Path, content: bytes) -> None:
    """Let `path` appear when it is whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(content)
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be written: {error.strerror}; SRCLI_CACHE puts weights elsewhere"
        ) from error


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)


def _hashes(path: Path) -> FileHashes:
    try:
        return hashes_of(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error


def _as_published(entry: WeightsEntry, found: FileHashes) -> WeightsEntry:
    """The entry of an import with what is known of that very file, if it is a published one."""
    for published in manifest():
        if (
            published.converted
            and published.hash_published
            and published.model == entry.model
            and mismatch(published, found) is None
        ):
            return replace(
                entry,
                licence=published.licence,
                training_data=published.training_data,
                origin=f"{published.origin}; {entry.origin}",
                psnr_protocol=published.psnr_protocol,
                psnr_y=published.psnr_y,
                psnr_published=published.psnr_published,
                published_by=published.published_by,
            )
    return entry
