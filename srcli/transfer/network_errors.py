"""Failures of the network: their kind, reason and remedy for a message."""

import re
import socket
import ssl

import httpx

from srcli.transfer.policy import proxy_named

__all__ = ["failure_reason", "failure_remedy", "is_about_certificates"]

_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")


def is_about_certificates(error: BaseException | None) -> bool:
    """Tell if the other side could not prove its identity."""
    return _comes_of(error, ssl.SSLCertVerificationError)


def failure_reason(error: Exception) -> str:
    """Words for what went wrong, without the number that the system gives it."""
    if _comes_of(error, socket.gaierror):  # no address for the name, or no network for asking
        return "the server's name cannot be resolved"
    return _ERROR_NUMBER.sub("", str(error)) or type(error).__name__


def _comes_of(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Tell if an error, or one that it was raised from or during, is of a kind."""
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def failure_remedy(error: Exception) -> str:
    """Remedy for a failure of the network, without `hint:`."""
    if isinstance(error, httpx.ProxyError | httpx.ConnectError | httpx.ConnectTimeout):
        proxy = proxy_named()
        return f"check the internet connection{f', and the proxy {proxy}' if proxy else ''}"
    return "try again later: it continues where it stopped"
