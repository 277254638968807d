"""Remove what runs that died have left in storage: parts of uploads, and temporary names."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from srcli.atomic import TEMPORARY_SUFFIX
from srcli.errors import StorageError, UsageError
from srcli.storage.drivers import attempt, driver_of, place_of
from srcli.storage.listing import list_objects
from srcli.storage.objects import is_written_whole
from srcli.url_paths import UrlPath

__all__ = ["remove_unfinished"]


def remove_unfinished(
    folder: UrlPath,
    is_ours: Callable[[UrlPath], bool],
    is_abandoned: Callable[[str, float], bool],
) -> int:
    """Remove what was begun below a folder and never completed; return how many there were.

    Args:
        folder: Where results are.
        is_ours: Whether an object is a result of this journal, which no other run writes now.
        is_abandoned: Whether nobody writes a temporary name any more, by the name and the time of
            its last change in s since 1970.
    """
    with suppress(StorageError, UsageError, FileNotFoundError):  # it is only about room there
        if not is_written_whole(folder):
            return _remove_temporary_names(folder, is_abandoned)
        if hasattr(driver_of(folder), "call_s3"):
            return _abort_uploads(folder, is_ours)
    return 0


def _remove_temporary_names(folder: UrlPath, is_abandoned: Callable[[str, float], bool]) -> int:
    driver, removed = driver_of(folder), 0
    for one in list_objects(folder):
        name = one.inside.rpartition("/")[2]
        temporary = name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)
        if temporary and one.is_named and is_abandoned(name, one.found.mtime_ns / 1e9):
            url = folder / one.inside
            attempt(url, "cannot be removed", partial(driver.rm_file, place_of(url)), 1)
            removed += 1
    return removed


def _abort_uploads(folder: UrlPath, is_ours: Callable[[UrlPath], bool]) -> int:
    """Abort uploads to S3 of which some parts are there."""
    driver = driver_of(folder)
    bucket, _, key = place_of(folder).partition("/")
    prefix = f"{key}/" if key else ""
    wanted: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    aborted = 0
    while True:
        page: dict[str, Any] = attempt(
            folder, "uploads", partial(driver.call_s3, "list_multipart_uploads", **wanted), 1
        )
        for one in page.get("Uploads") or ():
            inside = one["Key"].removeprefix(prefix)
            if inside and is_ours(folder / inside):
                named = {"Bucket": bucket, "Key": one["Key"], "UploadId": one["UploadId"]}
                call = partial(driver.call_s3, "abort_multipart_upload", **named)
                attempt(folder, "uploads", call, 1)
                aborted += 1
        if not page.get("IsTruncated"):
            return aborted
        wanted |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
