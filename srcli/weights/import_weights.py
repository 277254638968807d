"""Bringing a person's own file in: checked, renamed, written as safetensors, registered."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from srcli.atomic import atomic_file
from srcli.defaults import AUTO
from srcli.errors import UsageError, WeightsError
from srcli.models import model_names
from srcli.weights import RECOMMENDED, Source, WeightsEntry, known, manifest, require_extra
from srcli.weights.checkpoint import open_checkpoint
from srcli.weights.hashes import FileHashes, hashes_of, mismatch
from srcli.weights.local_files import imports, is_here
from srcli.weights.manifest_file import COMMUNITY, as_toml
from srcli.weights.recognise import Recognised, recognise

__all__ = [
    "convert",
    "import_weights",
    "keep",
    "plain_name",
    "published_as",
    "published_content",
    "require_network",
]

_LONGEST_NAME = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def convert(source: Path, target: Path, *, overwrite: bool = False) -> Recognised:
    """Write the parameters of a file as safetensors, under srcli's names for them.

    Raises:
        WeightsError: It cannot be read safely, fits no network, or cannot be written.
        UsageError: The target exists, or is no safetensors file by its name.
    """
    if target.suffix != ".safetensors":
        raise UsageError(f"{target}: what is written is safetensors; hint: name it so")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists; hint: --overwrite replaces it")
    found = recognise(open_checkpoint(source))
    _write(target, found.content)
    return found


def import_weights(
    source: Path, model: str | None = None, scale: int | None = None, name: str | None = None
) -> WeightsEntry:
    """Copy a file into the folder of imported weights, so that `-m` finds it.

    Args:
        source: A safetensors file or PyTorch checkpoint.
        model: The network it is for; None: what its parameters say.
        scale: The scale it is for; None: likewise.
        name: By which `-m` finds it; None: the network's own name; of a community network, the
            name under which it is published, or the file's.

    Raises:
        WeightsError: It cannot be read safely, fits no such network, is not the published file
            of that name, or cannot be kept.
        UsageError: The name cannot be used, or is taken.
    """
    _check_name(name)
    found = recognise(open_checkpoint(source), model, scale)
    hashes = _hashes(source)
    published = published_as(found, hashes)
    if found.model == COMMUNITY and name is None:
        name = published.title if published else plain_name(source)
    entry_name = f"{name or found.model}_x{found.scale}"
    if published is not None and published.title == name:
        entry_name = published.name
    _refuse_taken(entry_name, name, found.model)
    if published is None:
        _refuse_impostor(source, name, found.scale, hashes)
    return keep(found, source, hashes, entry_name, name or "", imports().absolute(), published)


def keep(
    found: Recognised,
    source: Path,
    hashes: FileHashes,
    entry_name: str,
    variant: str,
    folder: Path,
    published: WeightsEntry | None = None,
) -> WeightsEntry:
    """Write a file's parameters and their manifest into a folder.

    Args:
        found: The parameters.
        source: The file they came from.
        hashes: Its hashes.
        entry_name: Name of the weights.
        variant: What `-m` calls them; "" for the network's own name.
        folder: Of imported weights, or of downloads.
        published: What is known of that very file.

    Raises:
        WeightsError: The folder does not take them.
    """
    entry = WeightsEntry(
        name=entry_name,
        model=found.model,
        scale=found.scale,
        file=f"{entry_name}.safetensors",
        size=len(found.content),
        sha256=hashlib.sha256(found.content).hexdigest(),
        licence="not stated",
        training_data="not stated",
        origin=f"imported from {_printable(source.name)}, sha256 {hashes.sha256}",
        psnr_protocol="not measured",
        variant=variant,
        also_for=found.also_for,
        architecture=found.architecture,
        folder=folder,
    )
    entry = entry if published is None else _as_published(entry, published)
    _write(folder / entry.file, found.content)
    _write(folder / f"{entry_name}.toml", as_toml(entry).encode())
    return entry


def plain_name(source: Path) -> str:
    """A name for the weights in a file, from the file's own."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", source.stem).strip("._-")
    return plain[:_LONGEST_NAME] or "weights"


def require_network(entry: WeightsEntry) -> None:
    """Refuse weights of a network that is not in the registry, before they are downloaded.

    Raises:
        WeightsError: This srcli is older than the manifest, or spandrel is not installed.
    """
    if entry.model == COMMUNITY:
        require_extra(entry)
        return
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
    return recognise(open_checkpoint(source), entry.model, entry.scale).content


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


def published_as(found: Recognised, hashes: FileHashes) -> WeightsEntry | None:
    """The manifest's entry of a file with these hashes; None if it is no published file."""
    for published in manifest():
        if (
            (published.converted or published.source is Source.BY_HAND)
            and published.hash_published
            and published.model == found.model
            and mismatch(published, hashes) is None
        ):
            return published
    return None


def _refuse_impostor(source: Path, name: str | None, scale: int, hashes: FileHashes) -> None:
    """Refuse a file that would take the name of a published one, and is not that file."""
    for entry in manifest():
        named = name is not None and entry.answers_to(name) and entry.scale == scale
        if named and entry.source is Source.BY_HAND and entry.sha256:
            raise WeightsError(
                f"{source}: sha256 is {hashes.sha256}, that of {entry.name} is {entry.sha256}; "
                f"hint: get it from {entry.page} again, or use another --name"
            )


def _as_published(entry: WeightsEntry, published: WeightsEntry) -> WeightsEntry:
    """The entry of an import with what is known of that very file."""
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
