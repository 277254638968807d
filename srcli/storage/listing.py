"""List the objects below a URL, a page or a folder at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from srcli.errors import UsageError
from srcli.storage.drivers import ATTEMPTS, call, has_method, place_of
from srcli.storage.objects import StoredObject, identity_in
from srcli.url_paths import UrlPath, is_plain_name

__all__ = ["ListedObject", "list_objects", "require_bucket"]


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object below a folder.

    Args:
        inside: Its name as seen from the folder: "2024/cat.png".
        found: Its identity.
    """

    inside: str
    found: StoredObject

    @property
    def is_named(self) -> bool:
        """False of a name that can be none of a file: with two slashes in succession, or `..`."""
        return all(map(is_plain_name, self.inside.split("/")))


def list_objects(folder: UrlPath, beginning: str = "") -> Iterator[ListedObject]:
    """Yield all objects below a folder, in its subfolders too.

    Where the driver lists page by page (S3), a page is held at once, else a folder.

    Args:
        folder: A bucket, or what stands for a folder in it.
        beginning: Of the names that are wanted; where the storage can tell, others are not listed.

    Raises:
        StorageError: The storage does not answer, or refuses.
        UsageError: There is no such bucket.
    """
    yield from (_pages if has_method(folder, "call_s3") else _folders)(folder, beginning)


def require_bucket(url: UrlPath) -> None:
    """Check, by one request, that the storage of a URL answers, and has its bucket (S3).

    Raises:
        StorageError: It does not answer, or refuses.
        UsageError: There is no such bucket.
    """
    if has_method(url, "call_s3"):
        bucket = place_of(url).partition("/")[0]
        _page(url, {"Bucket": bucket, "MaxKeys": 1}, 1)


def _page(url: UrlPath, wanted: dict[str, Any], times: int) -> dict[str, Any]:
    """One page of a list of S3's objects."""
    try:
        return call(url, "cannot be listed", "call_s3", "list_objects_v2", times=times, **wanted)
    except FileNotFoundError:
        name = wanted["Bucket"]
        raise UsageError(f"{url}: there is no bucket {name}; hint: check its name") from None


def _pages(folder: UrlPath, beginning: str) -> Iterator[ListedObject]:
    """Objects of S3, a thousand for each request."""
    bucket, _, key = place_of(folder).partition("/")
    prefix = f"{key}/" if key else ""
    wanted: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix + beginning}
    while True:
        page = _page(folder, wanted, ATTEMPTS)
        for one in page.get("Contents", ()):
            inside = one["Key"].removeprefix(prefix)
            if inside and not inside.endswith("/"):  # that stands for an empty folder
                yield ListedObject(inside, identity_in({"size": one["Size"], **one}))
        if not page.get("IsTruncated"):
            return
        wanted["ContinuationToken"] = page["NextContinuationToken"]


def _folders(folder: UrlPath, beginning: str) -> Iterator[ListedObject]:
    """Objects of any driver, a folder for each request, sorted; files first."""
    above = place_of(folder).rstrip("/")
    waiting = [above]
    while waiting:
        here = waiting.pop()
        try:
            entries: Iterable[dict[str, Any]] = call(
                folder, "cannot be listed", "ls", here or "/", detail=True
            )
        except FileNotFoundError:
            continue
        inner: list[str] = []
        for entry in sorted(entries, key=lambda entry: entry["name"]):
            name = entry["name"].rstrip("/")
            inside = name.removeprefix(f"{above}/")
            if name == here or not _may_begin(inside, beginning):
                continue
            if entry["type"] == "directory":
                inner.append(name)
            elif inside.startswith(beginning):
                yield ListedObject(inside, identity_in(entry))
        waiting.extend(reversed(inner))


def _may_begin(inside: str, beginning: str) -> bool:
    """Tell if a name, or those below it, begin so."""
    return inside.startswith(beginning) or beginning.startswith(f"{inside}/")
