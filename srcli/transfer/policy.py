"""Download policy: permission, addresses, retries, certificates."""

import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import certifi

from srcli.errors import DownloadError

__all__ = ["Policy", "is_switched_on", "proxy_named", "trusted_certificates", "without_password"]

_ON = ("1", "true", "yes", "on")
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_WEIGHTS_MIRRORS = ("SRCLI_WEIGHTS_URL", "SRCLI_WEIGHTS_MIRROR")
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class Policy:
    """Options of downloads.

    Args:
        offline: Never touch the network.
        insecure: Take http, too, from machines other than this one.
        mirror: A base address that is asked before a file's own; "" for none.
        retries: How often in a row it may fail without a byte of progress.
        back_off: Seconds before the first retry; doubled each time.
        timeout: Seconds without a byte after which it has failed.
        redirects: How many may follow each other.
        trust_first: Take a file of which no hash is published, if its structure is right.
    """

    offline: bool = False
    insecure: bool = False
    mirror: str = ""
    retries: int = 4
    back_off: float = 0.5
    timeout: float = 30.0
    redirects: int = 5
    trust_first: bool = False

    @classmethod
    def of_environment(
        cls,
        *,
        offline: bool = False,
        insecure: bool = False,
        trust_first: bool = False,
        mirrors: Sequence[str] = _WEIGHTS_MIRRORS,
    ) -> "Policy":
        """Settings of the command line, and of the environment where that says more.

        `SRCLI_OFFLINE`, `SRCLI_TRUST_FIRST`, and the first of the variables `mirrors` that is
        set: by default `SRCLI_WEIGHTS_URL`, which was `SRCLI_WEIGHTS_MIRROR`.
        """
        return cls(
            offline=offline or is_switched_on("SRCLI_OFFLINE"),
            insecure=insecure,
            mirror=next(filter(None, map(os.environ.get, mirrors)), ""),
            trust_first=trust_first or is_switched_on("SRCLI_TRUST_FIRST"),
        )

    def addresses(self, name: str, own: Sequence[str]) -> tuple[str, ...]:
        """Where to ask for a file, in this order: the mirror, where it lies by `name`; its own."""
        mirrored = (f"{self.mirror.rstrip('/')}/{quote(name)}",) if self.mirror else ()
        return (*mirrored, *own)

    def check(self, address: str) -> None:
        """Refuse an address that anyone on the way could answer for, or that is none.

        Raises:
            DownloadError: It is neither https, nor http to this very machine.
        """
        parts = urlsplit(address)
        if parts.hostname and parts.scheme == "https":
            return
        if parts.hostname and parts.scheme == "http":
            if self.insecure or _is_loopback(parts.hostname):
                return
            raise DownloadError(f"{address}: http is not safe; hint: use https, or --insecure")
        raise DownloadError(f"{address}: only https addresses are downloaded from")


def is_switched_on(variable: str) -> bool:
    """Tell if an environment variable says yes."""
    return os.environ.get(variable, "").strip().lower() in _ON


def proxy_named() -> str:
    """The proxy that the environment names for https, as `VARIABLE=address`; "" if none."""
    for variable in _PROXIES:
        if address := os.environ.get(variable):
            return f"{variable}={without_password(address)}"
    return ""


def without_password(address: str) -> str:
    """The address as it may be shown."""
    before, at, after = address.rpartition("@")
    return f"{before.split('//')[0]}//…@{after}" if at and "//" in before else address


def trusted_certificates() -> ssl.SSLContext:
    """The bundle that `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE` names.

    Without these, what the system trusts, and Mozilla's list.

    Raises:
        DownloadError: There is no such bundle.
    """
    for variable in _BUNDLES:
        if bundle := os.environ.get(variable):
            try:
                return ssl.create_default_context(cafile=bundle)
            except OSError as error:  # ssl.SSLError is one
                raise DownloadError(
                    f"{variable}={bundle}: no certificates there: {error.strerror}"
                ) from error
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
