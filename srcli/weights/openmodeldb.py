"""OpenModelDB's catalogue of community networks: fetched, kept with its date, and searched."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from srcli.errors import DownloadError, UnknownModel, WeightsError
from srcli.transfer.partial_file import locked, partial_name
from srcli.transfer.policy import Policy
from srcli.transfer.remote_file import RemoteFile, transfer
from srcli.transfer.server import http_client
from srcli.weights.catalogue import UNSTATED, CatalogueModel, Wanted, models_of
from srcli.weights.local_files import downloads
from srcli.weights.manifest import CATALOGUE
from srcli.weights.manifest_file import COMMUNITY, WeightsEntry

__all__ = ["Catalogue", "entry_of", "read_catalogue"]

_ADDRESS = "https://openmodeldb.info/api/v1/models.json"
_LARGEST = 50_000_000  # bytes; it had 2 MB
_FRESH = 24 * 3600.0  # s, after which it is asked for anew


@dataclass(frozen=True)
class Catalogue:
    """All models by ID, and when the catalogue was fetched; `stale` says why it is not newer."""

    models: Mapping[str, CatalogueModel]
    date: datetime
    stale: str = ""

    def search(self, wanted: Wanted) -> list[CatalogueModel]:
        """The models that fit: those that can be downloaded first, then by name."""
        found = [model for model in self.models.values() if wanted.fits(model)]
        return sorted(found, key=lambda m: (not (m.resource and m.resource.direct), m.id.lower()))

    def named(self, name: str) -> CatalogueModel:
        """The model of an ID, with or without `openmodeldb:` before it.

        Raises:
            UnknownModel: There is none.
        """
        wanted = name.removeprefix(CATALOGUE)
        for model in self.models.values():
            if model.id.casefold() == wanted.casefold():
                return model
        near = [m.id for m in self.search(Wanted(words=(wanted,)))][:5]
        hint = f"-m {CATALOGUE}{near[0]}" if near else "srcli weights search WORDS"
        raise UnknownModel(f"OpenModelDB has no model {wanted!r}; hint: {hint}")


def read_catalogue(policy: Policy) -> Catalogue:
    """Read the catalogue: from the cache where it is fresh or srcli is offline, else fetched.

    Raises:
        WeightsError: It is neither here nor to be had, or is none.
    """
    path = downloads().parent / "openmodeldb.json"
    kept = path.is_file()
    stale = "srcli is offline" if kept and policy.offline else ""
    if not kept or (not policy.offline and _age(path) > _FRESH):
        try:
            _fetch(path, policy)
        except (DownloadError, OSError) as error:
            if not path.is_file():
                raise WeightsError(
                    f"OpenModelDB's catalogue cannot be had: {error}; hint: srcli weights list has "
                    "what is known without it"
                ) from error
            stale = str(error)
    try:
        table: object = json.loads(path.read_text("utf-8"))
        models = {model.id: model for model in models_of(table)}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        path.unlink(missing_ok=True)
        raise WeightsError(
            f"{path}: not OpenModelDB's catalogue ({error}), deleted; hint: try again"
        ) from error
    return Catalogue(models, datetime.fromtimestamp(path.stat().st_mtime, UTC), stale)


def entry_of(model: CatalogueModel) -> WeightsEntry:
    """The manifest's table of a model, to be downloaded by its hash.

    Raises:
        WeightsError: It has no direct address with a sha256.
    """
    resource = model.resource
    if resource is None or not resource.direct:
        where = resource.pages[0] if resource and resource.pages else model.page
        raise WeightsError(
            f"{CATALOGUE}{model.id} has no direct https address with a sha256; hint: get it from "
            f"{where} and srcli weights import FILE --name {model.id}"
        )
    return WeightsEntry(
        name=model.id,
        model=COMMUNITY,
        scale=model.scale,
        file=f"{model.id}.{resource.type}",
        size=resource.size,
        sha256=resource.sha256,
        licence=model.licence,
        training_data=UNSTATED,
        origin=f"{model.name}, by {', '.join(model.authors) or 'unknown'}, as OpenModelDB states",
        psnr_protocol="not measured",
        variant=f"{CATALOGUE}{model.id}",
        urls=resource.urls,
        page=model.page,
        architecture=model.architecture,
    )


def _fetch(path: Path, policy: Policy) -> None:
    """Bring the catalogue anew; the old one stays until the new one is whole and is one.

    Raises:
        DownloadError: It cannot be had, or is none.
        OSError: The folder does not take it.
    """
    if policy.offline:
        raise DownloadError("srcli is offline (leave out --offline and SRCLI_OFFLINE)")
    address = os.environ.get("SRCLI_OPENMODELDB_URL") or _ADDRESS
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path, lambda: None), http_client(policy) as client:
        partial = partial_name(path)
        partial.unlink(missing_ok=True)  # two halves may be of different days
        remote = RemoteFile(address, 0, _LARGEST, "try again")
        transfer(client, remote, partial, policy, lambda done, total: None)
        try:
            list(models_of(json.loads(partial.read_text("utf-8"))))
        except (ValueError, TypeError, AttributeError) as error:
            partial.unlink()
            raise DownloadError(f"{address}: not OpenModelDB's catalogue ({error})") from error
        partial.replace(path)


def _age(path: Path) -> float:
    return datetime.now(UTC).timestamp() - path.stat().st_mtime
