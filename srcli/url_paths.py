"""Paths of objects in storage elsewhere: `s3://bucket/in/cat.png` as a `Path` that is no file here.

Names, suffixes and parents are taken apart as those of files, so that results are named by the same
rules; whoever asks the system for such a path is told that there is no such file.
"""

import errno
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from srcli.errors import UsageError

if sys.platform == "win32":
    from pathlib import WindowsPath as _SystemPath
else:
    from pathlib import PosixPath as _SystemPath

__all__ = [
    "UrlPath",
    "absolute_path",
    "is_plain_name",
    "is_url",
    "password_of",
    "passwords",
    "path_of",
    "use_passwords",
]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WITHOUT_HOST = ("file:", "local:", "memory:")
_TOP_PARTS = 2  # of s3://bucket
_PASSWORDS: dict[str, str] = {}


class UrlPath(_SystemPath):
    """A path by which storage elsewhere knows an object or what stands for a folder there.

    >>> place = UrlPath("s3://bucket/in/cat.png")
    >>> str(place.with_name("dog.png")), str(place.parent), place.suffix
    ('s3://bucket/in/dog.png', 's3://bucket/in', '.png')
    >>> place.exists(), str(UrlPath("file:///data") / "a.png")
    (False, 'file:///data/a.png')
    """

    __slots__ = ()

    def __str__(self) -> str:
        first, *others = self.parts or ("",)
        slashes = "///" if first in _WITHOUT_HOST[:2] else "//"
        return f"{first}{slashes}{'/'.join(others)}"

    def __fspath__(self) -> str:
        raise FileNotFoundError(errno.ENOENT, "is in storage elsewhere, and no file", str(self))

    def __repr__(self) -> str:
        return f"UrlPath({str(self)!r})"

    @property
    def protocol(self) -> str:
        """Name before the colon: "s3"."""
        return self.parts[0].removesuffix(":").lower()

    @property
    def is_top(self) -> bool:
        """True of a whole bucket, or of a server."""
        return len(self.parts) <= (1 if self.parts[0] in _WITHOUT_HOST else _TOP_PARTS)

    def as_posix(self) -> str:
        """The URL."""
        return str(self)

    def is_absolute(self) -> bool:
        """True: it does not depend on the current folder."""
        return True

    def absolute(self) -> "UrlPath":
        """Return the path itself: it does not depend on the current folder."""
        return self

    def resolve(self, strict: bool = False) -> "UrlPath":
        """Return the path itself: no links are known there."""
        return self

    def relative_to(self, other: str | os.PathLike[str], *_: str | os.PathLike[str]) -> Path:  # pyright: ignore[reportIncompatibleMethodOverride] folders in storage alone
        """Path as seen from a folder above it.

        Raises:
            ValueError: It does not lie below that.
        """
        above = other.parts if isinstance(other, Path) else Path(other).parts
        if self.parts[: len(above)] != above:
            raise ValueError(f"{self} is not below {other}")
        return Path(*self.parts[len(above) :])


def is_url(text: str) -> bool:
    r"""Tell if a name on the command line is a URL.

    >>> is_url("s3://bucket/in"), is_url("C:\\photos"), is_url("photos/a:b.png")
    (True, False, False)
    """
    return _URL.match(text) is not None


def path_of(text: str) -> Path:
    """The path that a text stands for: of a file, or of an object.

    A password in a URL is taken out of it, so that no message or journal holds it; see
    `password_of`.

    Raises:
        UsageError: It is a URL, but without a host or bucket, or with names that are none.

    >>> path_of("sftp://zoe:secret@host/in"), password_of(path_of("sftp://zoe@host/in/a.png"))
    (UrlPath('sftp://zoe@host/in'), 'secret')
    """
    if not is_url(text):
        return Path(text)
    protocol, _, rest = text.partition("://")
    host, slash, inside = rest.partition("/")
    user, colon, password = host.rpartition("@")[0].partition(":")
    if colon:
        host = f"{user}@{host.rpartition('@')[2]}"
        _PASSWORDS[f"{protocol}://{host}".lower()] = password
    shown = f"{protocol}://{host}{slash}{inside}"
    if not host and f"{protocol.lower()}:" not in _WITHOUT_HOST:
        raise UsageError(f"{shown} names no bucket or host; hint: {protocol}://NAME/FOLDER")
    names = inside.strip("/" if not host else "").removesuffix("/").split("/")
    if inside and not all(map(is_plain_name, names)):
        raise UsageError(
            f"{shown}: names between slashes may not be empty, . or ..; hint: check the URL"
        )
    return UrlPath(f"{protocol.lower()}://{host}{slash}{inside}")


def is_plain_name(name: str) -> bool:
    """Tell if part of an object's key can be the name of a file or a folder, too."""
    return name not in ("", ".", "..") and "\0" not in name


def password_of(url: UrlPath) -> str:
    """Password that was given in a URL of the same user and server; "" if none was."""
    return _PASSWORDS.get("//".join(url.parts[:_TOP_PARTS]).lower(), "")


def passwords() -> dict[str, str]:
    """All passwords that were given, by the URL of user and server, for processes elsewhere."""
    return dict(_PASSWORDS)


def use_passwords(given: Mapping[str, str]) -> None:
    """Use passwords that were given to another process."""
    _PASSWORDS.update(given)


def absolute_path(path: Path) -> Path:
    """Where a path leads whatever the current folder; links in the way are left as they are."""
    return path if isinstance(path, UrlPath) else Path(os.path.abspath(path))  # noqa: PTH100
