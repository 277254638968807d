"""What downloads may do: whether, from where, how often, and which certificates count."""

import ipaddress
import os
import ssl
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import certifi

from srcli.errors import WeightsError
from srcli.weights.entry import WeightsEntry

__all__ = ["Policy", "is_switched_on", "trusted_certificates", "without_password"]

_ON = ("1", "true", "yes", "on")
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class Policy:
    """How downloads go about.

    Args:
        offline: Never touch the network.
        insecure: Take http, too, from machines other than this one.
        mirror: A base address that is asked before those of the manifest; "" for none.
        retries: How often in a row it may fail without a byte of progress.
        back_off: Seconds before the first retry; doubled each time.
        timeout: Seconds without a byte after which it has failed.
        redirects: How many may follow each other.
    """

    offline: bool = False
    insecure: bool = False
    mirror: str = ""
    retries: int = 4
    back_off: float = 0.5
    timeout: float = 30.0
    redirects: int = 5

    @classmethod
    def of_environment(cls, *, offline: bool = False, insecure: bool = False) -> "Policy":
        """What `SRCLI_OFFLINE` and `SRCLI_WEIGHTS_MIRROR` say, and the command line."""
        return cls(
            offline=offline or is_switched_on("SRCLI_OFFLINE"),
            insecure=insecure,
            mirror=os.environ.get("SRCLI_WEIGHTS_MIRROR", ""),
        )

    def addresses(self, entry: WeightsEntry) -> tuple[str, ...]:
        """Where to ask for an entry's file, in this order."""
        mirrored = (f"{self.mirror.rstrip('/')}/{quote(entry.file)}",) if self.mirror else ()
        return (*mirrored, *entry.urls)

    def check(self, address: str) -> None:
        """Refuse an address that anyone on the way could answer for, or that is none.

        Raises:
            WeightsError: It is neither https, nor http to this very machine.
        """
        parts = urlsplit(address)
        if parts.hostname and parts.scheme == "https":
            return
        if parts.hostname and parts.scheme == "http":
            if self.insecure or _is_loopback(parts.hostname):
                return
            raise WeightsError(f"{address}: http is not safe; use https, or --insecure")
        raise WeightsError(f"{address}: only https addresses are downloaded from")


def is_switched_on(variable: str) -> bool:
    """Whether an environment variable says yes."""
    return os.environ.get(variable, "").strip().lower() in _ON


def without_password(address: str) -> str:
    """The address as it may be shown."""
    before, at, after = address.rpartition("@")
    return f"{before.split('//')[0]}//…@{after}" if at and "//" in before else address


def trusted_certificates() -> ssl.SSLContext:
    """The bundle that `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE` names.

    Without these, what the system trusts, and Mozilla's list.

    Raises:
        WeightsError: There is no such bundle.
    """
    for variable in _BUNDLES:
        if bundle := os.environ.get(variable):
            try:
                return ssl.create_default_context(cafile=bundle)
            except OSError as error:  # ssl.SSLError is one
                raise WeightsError(
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
