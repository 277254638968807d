"""Speaking to servers: the client, and one address after the other until a file is had."""

from collections.abc import Callable, Sequence

import httpx

from srcli.errors import DownloadError, SrcliError
from srcli.transfer.policy import Policy, trusted_certificates, without_password

__all__ = ["HttpClient", "Refused", "ask_in_turn", "http_client"]

HttpClient = httpx.Client


class Refused(DownloadError):
    """An address will not give the file, however often it is asked.

    Args:
        message: What happened.
        hint: What may help.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def http_client(policy: Policy) -> HttpClient:
    """Speaks HTTP by way of the proxies of the environment, but directly to this machine.

    Raises:
        DownloadError: The environment names a proxy or certificates that cannot be used.
    """
    try:
        return httpx.Client(
            headers={"User-Agent": "srcli", "Accept-Encoding": "identity"},
            timeout=policy.timeout,
            verify=trusted_certificates(),
            mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
        )
    except ValueError as error:  # what httpx makes of an address that is none
        raise DownloadError(f"the proxy of the environment cannot be used: {error}") from error


def ask_in_turn(addresses: Sequence[str], bring: Callable[[str], None]) -> None:
    """Call `bring` with one address after the other until one of them has the file.

    Raises:
        DownloadError: None has it; the message says of each why, then what may help.
        OSError: From `bring`: no other address would help.
    """
    troubles: list[str] = []
    hints: list[str] = []
    for address in addresses:
        try:
            bring(address)
        except SrcliError as trouble:
            troubles.append(str(trouble).replace(address, without_password(address)))
            hints += [trouble.hint] if isinstance(trouble, Refused) and trouble.hint else []
        except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:  # no address at all
            troubles.append(f"{without_password(address)}: {error}")
        else:
            return
    advice = "".join(f"; hint: {hint}" for hint in dict.fromkeys(hints))
    raise DownloadError(f"{'; '.join(troubles)}{advice}")
