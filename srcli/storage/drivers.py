"""The drivers of storage elsewhere: found when a URL is given, and asked again when cut off."""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from srcli.errors import StorageError, UsageError
from srcli.extras import STORAGE_PACKAGES
from srcli.url_paths import UrlPath, password_of

__all__ = [
    "ATTEMPTS",
    "abandon_transfers",
    "attempt",
    "begin_transfers",
    "call",
    "has_method",
    "place_of",
    "require_driver",
    "require_wanted",
]

ATTEMPTS = 3
"""Times that a request is made before it fails; the driver may repeat it by itself, too."""
_FIRST_WAIT = 0.5  # s, doubled each time
_WEB = ("http", "https")
_FINAL = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, UsageError)
_NO_LOGIN = (
    *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"),  # of S3
    "DefaultCredentialsError",  # of Google
    *("AuthenticationException", "BadHostKeyException"),  # of SFTP
)
_LONGEST_REASON = 300
Answer = TypeVar("Answer")


class _Transfers:
    """Set by a signal's handler, which may take no lock."""

    abandoned = False


def abandon_transfers() -> None:
    """Let transfers end after their present request: the run is to stop at once."""
    _Transfers.abandoned = True


def begin_transfers() -> None:
    """Let transfers run, after others have been abandoned."""
    _Transfers.abandoned = False


def require_wanted(url: UrlPath) -> None:
    """Check that transfers have not been abandoned.

    Raises:
        StorageError: They have.
    """
    if _Transfers.abandoned:
        raise StorageError(f"{url}: stopped while it was transferred; hint: run again")


def require_driver(url: UrlPath) -> None:
    """Check that the driver for a URL is installed.

    Raises:
        UsageError: It is not, or there is none.
    """
    if url.protocol in _WEB:
        raise UsageError(f"{url}: srcli reads no web pages; hint: download the file first")
    try:
        _driver_class(url)
    except ValueError:
        raise UsageError(
            f"{url}: {url.protocol} is no protocol of storage; hint: s3, gs, az, sftp or a path"
        ) from None
    except ImportError as error:
        package = STORAGE_PACKAGES.get(url.protocol)
        remedy = f"pip install {package}" if package else str(error)
        raise UsageError(
            f"{url}: the driver for {url.protocol} is not installed; hint: {remedy}"
        ) from None


def driver_of(url: UrlPath) -> Any:  # noqa: ANN401 no types of fsspec are known
    """The driver for a URL, connected as the environment says; one for each thread.

    Raises:
        UsageError: It is not installed.
        StorageError: It cannot connect.
    """
    require_driver(url)
    return attempt(url, "cannot be reached", lambda: _connected(url))


def has_method(url: UrlPath, name: str) -> bool:
    """Tell if the driver for a URL can do something that not all can."""
    return hasattr(_driver_class(url), name)


def place_of(url: UrlPath) -> str:
    """The name by which its driver knows an object: "bucket/in/cat.png"."""
    return str(_driver_class(url)._strip_protocol(str(url)))


def call(
    url: UrlPath, what: str, method: str, *words: object, times: int = ATTEMPTS, **named: object
) -> Any:  # noqa: ANN401
    """Call a method of the driver for a URL; other arguments as of `attempt`."""

    def work() -> Any:  # noqa: ANN401
        return getattr(driver_of(url), method)(*words, **named)

    return attempt(url, what, work, times)


def attempt(url: UrlPath, what: str, work: Callable[[], Answer], times: int = ATTEMPTS) -> Answer:
    """Do something with an object, again after a wait if the connection is cut.

    Args:
        url: The object.
        what: In words, for the message: "cannot be read".
        work: Does it; from the beginning each time.
        times: To try it.

    Raises:
        FileNotFoundError: There is no such object.
        StorageError: It failed each time, or is refused.
    """
    for number in range(1, times + 1):
        try:
            return work()
        except (FileNotFoundError, UsageError, StorageError):
            raise
        except Exception as error:  # drivers raise what the packages below them do
            login = type(error).__name__ in _NO_LOGIN
            final = login or isinstance(error, _FINAL) or _Transfers.abandoned
            if number < times and not final:
                time.sleep(_FIRST_WAIT * 2 ** (number - 1))
                _forget_connection(url)
                continue
            remedy = "run again: what is done stays done"
            if login or isinstance(error, PermissionError):
                remedy = "check the credentials in the environment or the driver's configuration"
            tried = f" ({number} times)" if number > 1 else ""
            raise StorageError(
                f"{url}: {what}{tried}: {_reason(url, error)}; hint: {remedy}"
            ) from error
    raise AssertionError("unreachable")


def _connected(url: UrlPath) -> Any:  # noqa: ANN401
    """The driver, as fsspec keeps it for this thread, or a new one."""
    kind = _driver_class(url)
    options: dict[str, Any] = kind._get_kwargs_from_urls(_with_password(url))
    driver = import_module("fsspec").filesystem(url.protocol, **options)
    if hasattr(driver, "dircache"):
        driver.dircache.use_listings_cache = False  # no listing is kept in memory
    if hasattr(driver, "call_s3"):
        driver.retries = 1  # s3fs's own: `attempt` and botocore repeat as much as is of use
    return driver


def _forget_connection(url: UrlPath) -> None:
    """Have the next call connect anew, where a driver is one connection (SFTP)."""
    kind = _driver_class(url)
    if not getattr(kind, "async_impl", False):
        kind.clear_instance_cache()


def _reason(url: UrlPath, error: Exception) -> str:
    """One line of an error, without a password."""
    text = " ".join(str(error).split()) or type(error).__name__
    if password := password_of(url):
        text = text.replace(password, "***")
    return text[:_LONGEST_REASON]


def _driver_class(url: UrlPath) -> Any:  # noqa: ANN401 see above
    return import_module("fsspec").get_filesystem_class(url.protocol)


def _with_password(url: UrlPath) -> str:
    """The URL as it was given."""
    password = password_of(url)
    text = str(url)
    if not password:
        return text
    protocol, _, rest = text.partition("://")
    user, _, server = rest.partition("@")
    return f"{protocol}://{user}:{password}@{server}"
