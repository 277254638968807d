"""Make weights from outside known by a name: a file, or a model of OpenModelDB."""

from pathlib import Path

from srcli.atomic import atomic_file
from srcli.errors import UsageError, WeightsError
from srcli.transfer.policy import Policy
from srcli.weights.choose import is_file_name, split_chain
from srcli.weights.local_files import downloads
from srcli.weights.manifest import CATALOGUE, known, manifest
from srcli.weights.manifest_file import WeightsEntry, as_toml
from srcli.weights.openmodeldb import entry_of, read_catalogue

__all__ = ["as_known"]


def as_known(model: str, policy: Policy | None = None) -> str:
    """The names for `-m model` that weights are known by; files and models become known.

    A file's parameters are kept in the cache as safetensors, under the file's name; a second time
    they are found by its sha256. Of a model of OpenModelDB, the manifest's table is kept.

    Args:
        model: One name, or several with commas between them.
        policy: How the catalogue is asked for; None: as the environment says.

    Raises:
        UsageError: There is no such file or model.
        WeightsError: The file cannot be used, or the catalogue cannot be had.
    """
    asked = policy or Policy.of_environment()
    return ",".join(_known_name(name, asked) for name in split_chain(model))


def _known_name(name: str, policy: Policy) -> str:
    if name.startswith(CATALOGUE):
        return _of_catalogue(name, policy)
    if not is_file_name(name):
        return name
    if not Path(name).is_file():
        raise UsageError(f"{name} does not exist; hint: a file of weights, or srcli weights list")
    return _of_file(Path(name))


def _of_catalogue(name: str, policy: Policy) -> str:
    """The name of a model's weights; its table is kept, so that the catalogue is asked once."""
    for entry in known():
        if entry.variant.casefold() == name.casefold():
            return entry.name
    entry = entry_of(read_catalogue(policy).named(name))
    if any(entry.name in (other.name, other.variant) for other in known()):
        raise UsageError(
            f"{entry.name} is the name of other weights here; hint: srcli weights show {entry.name}"
        )
    _keep_table(entry)
    return entry.name


def _keep_table(entry: WeightsEntry) -> None:
    path = downloads() / f"{entry.name}.toml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(as_toml(entry).encode())
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be written: {error.strerror}; SRCLI_CACHE puts weights elsewhere"
        ) from error


def _of_file(path: Path) -> str:
    """The name of a file's weights, which are brought in where they are not known yet."""
    # Imported when needed: most runs have no file, and these bring torch.
    from srcli.weights.checkpoint import open_checkpoint
    from srcli.weights.hashes import fault_of, hashes_of
    from srcli.weights.import_weights import keep, plain_name, published_as
    from srcli.weights.recognise import recognise

    try:
        hashes = hashes_of(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    taken = set[str]()
    for entry in known():
        brought = entry.folder is not None and hashes.sha256 in entry.origin
        if (brought or entry.sha256 == hashes.sha256) and fault_of(entry) is None:
            named = any(other.name == entry.name for other in manifest())
            return entry.name if named or not entry.variant else entry.variant
        taken |= {entry.name.casefold(), entry.variant.casefold(), entry.model.casefold()}
    found, folder = recognise(open_checkpoint(path)), downloads().absolute()
    published = published_as(found, hashes)
    if published is not None:
        keep(found, path, hashes, published.name, published.variant, folder, published)
        return published.name
    name = plain_name(path)
    if name.casefold() in taken:
        name = f"{name[:50]}-{hashes.sha256[:8]}"
    keep(found, path, hashes, f"{name}_x{found.scale}", name, folder)
    return name
