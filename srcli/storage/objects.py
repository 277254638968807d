"""One object in storage: its identity, its content, and a new content that appears whole."""

import contextlib
import hashlib
import mimetypes
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from srcli.atomic import temporary_name
from srcli.errors import StorageError
from srcli.storage.drivers import attempt, call, driver_of, place_of, require_wanted
from srcli.url_paths import UrlPath

__all__ = [
    "StoredObject",
    "digest_of",
    "download",
    "find",
    "identity_in",
    "is_folder",
    "is_written_whole",
    "upload",
]

_BLOCK = 16 << 20  # bytes read with one request, and of a part of a large result
_AT_ONCE = 4  # parts on their way
_WHOLE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci")
"""Protocols in which an object appears when its last byte has come; others rename it then."""
_TAGS = ("ETag", "md5Hash", "etag", "content_md5", "generation")
_TIMES = ("LastModified", "mtime", "last_modified", "updated", "modified", "created")


@dataclass(frozen=True)
class StoredObject:
    """One state of an object.

    Args:
        size: Bytes.
        mtime_ns: When it was written, as far as the storage says; else 0.
        tag: Text that changes with its content: the ETag, a hash or the time; "" if there is none.
    """

    size: int
    mtime_ns: int
    tag: str


def identity_in(info: Mapping[str, Any]) -> StoredObject:
    """Identity of an object in what a driver tells of it.

    >>> identity_in({"size": 3, "ETag": '"abc"', "LastModified": "1970-01-01T00:00:01Z"})
    StoredObject(size=3, mtime_ns=1000000000, tag='abc')
    >>> identity_in({"size": 3, "mtime": 1.5})
    StoredObject(size=3, mtime_ns=1500000000, tag='time 1500000000')
    """
    tag = next((str(info[name]).strip('"') for name in _TAGS if info.get(name)), "")
    written = next((info[name] for name in _TIMES if info.get(name)), None)
    mtime_ns = _nanoseconds(written)
    return StoredObject(
        int(info.get("size") or 0), mtime_ns, tag or (f"time {mtime_ns}" if mtime_ns else "")
    )


def find(url: UrlPath) -> StoredObject | None:
    """Ask the storage for an object; None if there is none.

    Raises:
        StorageError: It does not answer.
    """
    info = _info(url)
    return None if info is None or info["type"] == "directory" else identity_in(info)


def is_folder(url: UrlPath) -> bool:
    """Tell if there are objects below a URL.

    Raises:
        StorageError: The storage does not answer.
    """
    info = _info(url)
    return info is not None and info["type"] == "directory"


def is_written_whole(url: UrlPath) -> bool:
    """Tell if an object appears there when its last byte has come, without a temporary name."""
    return url.protocol in _WHOLE


def download(url: UrlPath, file: Path, permit: Callable[[StoredObject], None]) -> StoredObject:
    """Copy an object to a file on this machine, block by block.

    Args:
        url: The object.
        file: The file.
        permit: Called with what is there before it is copied; an error that it raises is raised.

    Raises:
        StorageError: It cannot be read, or changed meanwhile.
    """
    before = find(url)
    if before is None:
        raise StorageError(f"{url}: is not there any more; hint: run again")
    permit(before)
    with file.open("wb") as stream:
        for block in _blocks(url, before.size):
            stream.write(block)
    if find(url) != before or file.stat().st_size != before.size:
        raise StorageError(f"{url}: changed while it was read; hint: run the command again")
    return before


def digest_of(url: UrlPath) -> str:
    """sha256 of an object, hexadecimal.

    Raises:
        StorageError: It cannot be read.
    """
    found = find(url)
    digest = hashlib.sha256()
    for block in _blocks(url, found.size if found else 0):
        digest.update(block)
    return digest.hexdigest()


def upload(file: Path, url: UrlPath) -> StoredObject:
    """Make an object of a file; under its name there is never a part of it.

    Returns:
        Its identity.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        attempt(url, "cannot be written", lambda: _put(file, url))
    except FileNotFoundError as error:
        raise StorageError(f"{url}: cannot be written: {error}") from error
    written = find(url)
    if written is None or written.size != file.stat().st_size:
        found = "nothing" if written is None else f"{written.size} bytes"
        raise StorageError(f"{url}: {found} where {file.stat().st_size} bytes were written")
    return written


def _put(file: Path, url: UrlPath) -> None:
    driver, name = driver_of(url), place_of(url)
    if is_written_whole(url):
        driver.put_file(str(file), name, **_put_options(url))
        return
    hidden = place_of(url.with_name(temporary_name(Path(url.name)).name))
    with contextlib.suppress(FileExistsError):
        driver.makedirs(place_of(url.parent), exist_ok=True)
    try:
        driver.put_file(str(file), hidden)
        driver.mv(hidden, name)
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell
            driver.rm_file(hidden)
        raise


def _put_options(url: UrlPath) -> dict[str, Any]:
    """Options of an upload: size of parts, and the media type, which no temporary name tells."""
    if url.protocol in ("s3", "s3a"):
        return {"chunksize": _BLOCK, "max_concurrency": _AT_ONCE, "ContentType": _type_of(url)}
    return {"content_type": _type_of(url)} if url.protocol in ("gs", "gcs") else {}


def _type_of(url: UrlPath) -> str:
    """Media type of an image by its name.

    >>> _type_of(UrlPath("s3://bucket/a.jpg")), _type_of(UrlPath("s3://bucket/a.jxl"))
    ('image/jpeg', 'image/jxl')
    """
    return mimetypes.guess_type(url.name)[0] or f"image/{url.suffix[1:].lower() or 'unknown'}"


def _blocks(url: UrlPath, size: int) -> Iterator[bytes]:
    """The content, a block for each request."""
    for start in range(0, size, _BLOCK):
        require_wanted(url)
        end = min(start + _BLOCK, size)
        try:
            block: bytes = call(
                url, "cannot be read", "cat_file", place_of(url), start=start, end=end
            )
        except FileNotFoundError as error:
            raise StorageError(f"{url}: vanished while it was read; hint: run again") from error
        if len(block) != end - start:
            raise StorageError(f"{url}: changed while it was read; hint: run the command again")
        yield block


def _info(url: UrlPath) -> dict[str, Any] | None:
    try:
        return dict(call(url, "cannot be looked at", "info", place_of(url)))
    except FileNotFoundError:
        return None


def _nanoseconds(time: object) -> int:
    """A time as drivers give it, in ns since 1970; 0 for what is none."""
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return 0
    if isinstance(time, datetime):
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1e6) * 1000
    return round(time * 1e6) * 1000 if isinstance(time, int | float) else 0
