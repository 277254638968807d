"""Remove what runs that died have left in storage: parts of uploads, and temporary names."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

from srcli.atomic import TEMPORARY_SUFFIX
from srcli.errors import StorageError, UsageError
from srcli.storage.drivers import call, has_method, place_of
from srcli.storage.listing import list_objects
from srcli.storage.objects import is_written_whole
from srcli.url_paths import UrlPath

__all__ = ["abort_uploads", "remove_temporaries"]


def remove_temporaries(folder: UrlPath, is_abandoned: Callable[[str, float], bool]) -> int:
    """Remove temporary names of runs that died, where results get their names by renaming.

    Args:
        folder: Where results are.
        is_abandoned: Whether nobody writes a temporary name any more, by the name and the time of
            its last change in s since 1970.

    Returns:
        Their number.
    """
    removed = 0
    if is_written_whole(folder):
        return removed
    with _mere_room():
        for one in list_objects(folder):
            name = one.inside.rpartition("/")[2]
            temporary = name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)
            if temporary and one.is_named and is_abandoned(name, one.found.mtime_ns / 1e9):
                url = folder / one.inside
                call(url, "cannot be removed", "rm_file", place_of(url), times=1)
                removed += 1
    return removed


def abort_uploads(folder: UrlPath, is_ours: Callable[[UrlPath], bool]) -> int:
    """Abort uploads in parts (S3) that were begun below a folder and never completed.

    Args:
        folder: Where results are.
        is_ours: Whether an object is a result of this journal, which no other run writes now.

    Returns:
        Their number.
    """
    aborted = 0
    if not has_method(folder, "call_s3"):
        return aborted
    with _mere_room():
        for key, number in _uploads(folder):
            bucket, _, above = place_of(folder).partition("/")
            inside = key.removeprefix(f"{above}/" if above else "")
            if inside and is_ours(folder / inside):
                named = {"Bucket": bucket, "Key": key, "UploadId": number}
                _call_s3(folder, "abort_multipart_upload", named)
                aborted += 1
    return aborted


def _mere_room() -> AbstractContextManager[None]:
    """Go on without what a storage refuses: what is left there only takes room."""
    return suppress(StorageError, UsageError, FileNotFoundError)


def _uploads(folder: UrlPath) -> Iterator[tuple[str, str]]:
    """Key and number of each upload below a folder of which some parts are there."""
    bucket, _, above = place_of(folder).partition("/")
    wanted: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{above}/" if above else ""}
    while True:
        page = _call_s3(folder, "list_multipart_uploads", wanted)
        for one in page.get("Uploads") or ():
            yield one["Key"], one["UploadId"]
        if not page.get("IsTruncated"):
            return
        wanted |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def _call_s3(folder: UrlPath, operation: str, named: dict[str, Any]) -> dict[str, Any]:
    return call(folder, operation, "call_s3", operation, times=1, **named)
