"""The servers of published weights, at their real addresses, on this machine.

A proxy that opens TLS with a certificate of its own, as a company's does: srcli asks github.com
and drive.usercontent.google.com, and is answered from here. Nothing leaves the machine.
"""

import hashlib
import io
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch

from srcli.transfer.policy import Policy
from srcli.weights import WeightsEntry, manifest
from srcli.weights.download import download
from srcli.weights.import_weights import published_content
from srcli.weights.manifest_file import COMMUNITY, as_toml
from tests.weights.conftest import make_certificate
from tests.weights.states import published_adaformer, published_swinir, state, theirs

SMALL, BLOB, UNVERIFIED = "smfanet_x4", "adaformer-published_x4", "atd-light_x2"
QUICK = Policy(back_off=0.01, timeout=5, retries=2)
TRUSTING = replace(QUICK, trust_first=True)
HOSTS = ("github.com", "raw.githubusercontent.com", "drive.usercontent.google.com",
         "data.vision.ee.ethz.ch")  # fmt: skip
PAGE = b"<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title></html>"


@dataclass
class PublishedServer:
    """Addresses of the published files, their content, and the requests seen."""

    address: str
    certificate: Path
    files: dict[str, bytes] = field(default_factory=dict)  # by URL without its scheme
    requests: list[tuple[str, str]] = field(default_factory=list)  # (URL without scheme, Range)
    cuts: int = 0  # answers that end in the middle
    fault: str = ""  # "page", "quiet-page", "wrong", "unannounced", "denied", "stalled"
    gate: threading.Event = field(default_factory=threading.Event)  # opens the second half

    @property
    def environment(self) -> dict[str, str]:
        return {"HTTPS_PROXY": self.address, "SSL_CERT_FILE": str(self.certificate), "NO_PROXY": ""}

    def serve(self, entry: WeightsEntry, content: bytes) -> None:
        for url in entry.urls:
            self.serve_at(url, content)

    def serve_at(self, url: str, content: bytes) -> None:
        self.files[first_asked(url.removeprefix("https://"))] = content


def first_asked(place: str) -> str:
    """The address that leads to a place of GitHub's by a redirect; any other as it is."""
    found = re.fullmatch(r"raw\.githubusercontent\.com/([^/]+/[^/]+)/(.*)", place)
    return f"github.com/{found[1]}/raw/{found[2]}" if found else place


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: PublishedServer
    context: ssl.SSLContext
    host = ""

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        if self.served.fault == "denied":
            self.send_error(407, "Proxy Authentication Required")
            return
        self.host = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        try:
            self.connection = self.context.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):  # who does not trust the certificate hangs up
            self.close_connection = True
            return
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.connection.close()

    def do_GET(self) -> None:
        place = f"{self.host}{self.path}"
        self.close_connection = True
        if place.startswith("github.com/") and "/raw/" in place:  # as it answers really
            return self.answer(302, b"", {"Location": self.raw(place)})
        asked = self.headers.get("Range", "")
        content = self.served.files.get(first_asked(place))
        self.served.requests.append((first_asked(place), asked))
        if content is None:
            return self.answer(404, b"Not Found")
        if self.served.fault:
            return getattr(self, self.served.fault.replace("-", "_"))(content)
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        if start >= len(content):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        headers = {"Content-Type": "application/octet-stream"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self.answer(206 if start else 200, content[start:], headers)

    def raw(self, place: str) -> str:
        return "https://" + place.replace("github.com", "raw.githubusercontent.com").replace(
            "/raw/", "/"
        )

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if status in (200, 206) and self.served.cuts > 0:
            self.served.cuts -= 1
            body = body[: len(body) // 2]
        self.give(body)

    def give(self, body: bytes) -> None:
        with suppress(OSError):  # the client may have seen enough
            self.connection.sendall(body)

    def page(self, _: bytes) -> None:
        self.answer(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})

    def quiet_page(self, content: bytes) -> None:
        """A page of the very size of the file, that does not say it is one."""
        self.answer(200, b"\n" + PAGE + b" " * (len(content) - len(PAGE) - 1))

    def wrong(self, content: bytes) -> None:
        self.answer(200, content[::-1])

    def stalled(self, content: bytes) -> None:
        """Half of the file, and the rest once the gate is open."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.give(content[: len(content) // 2])
        self.served.gate.wait(60)
        self.give(content[len(content) // 2 :])

    def unannounced(self, content: bytes) -> None:
        """Half of the file, and no word of how much there should be."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.give(content[: len(content) // 2])


@contextmanager
def serving_published(folder: Path) -> Iterator[PublishedServer]:
    certificate = make_certificate(folder, *HOSTS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        served = PublishedServer(f"http://127.0.0.1:{listening.server_port}", certificate)
        listening.RequestHandlerClass = type(
            "Bound", (Handler,), {"served": served, "context": context}
        )
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield served
        finally:
            served.gate.set()
            listening.shutdown()
            thread.join()


def published(name: str) -> WeightsEntry:
    """An entry of the packaged manifest that is published elsewhere."""
    (entry,) = [one for one in manifest() if one.name == name and one.converted]
    return entry


# Community networks need spandrel: tests/community has them.
PUBLISHED = tuple(
    entry.name for entry in manifest() if entry.converted and entry.model != COMMUNITY
)


@cache
def fabricated(name: str, seed: int = 0) -> bytes:
    """A checkpoint with the names and shapes of a published one, of random numbers."""
    entry = published(name)
    if entry.model == "adaformer-published":
        content: object = published_adaformer(entry.scale, seed)
    elif entry.model == "swinir-light":
        content = {"params": published_swinir(entry.scale, seed)}
    elif entry.model == "atd-light":
        content = {"params": theirs(state(entry.model, entry.scale, seed))}
    else:
        content = {"params": state(entry.model, entry.scale, seed)}
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def entry_of(name: str, content: bytes) -> WeightsEntry:
    """The published entry as its manifest would have it if `content` were its file."""
    entry = published(name)
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return replace(
        entry,
        size=len(content) if entry.size else 0,
        sha256=hashlib.sha256(content).hexdigest() if entry.sha256 else "",
        git_blob=blob if entry.git_blob else "",
    )


def publish_fabricated(served: PublishedServer, path: Path) -> Path:
    """Serve a fabricated file at every published address, and write the manifest of these."""
    lines: list[str] = []
    for name in PUBLISHED:
        content = fabricated(name)
        served.serve(published(name), content)
        lines.append(as_toml(entry_of(name, content)))
    path.write_text("\n".join(lines), "utf-8")
    return path


def offered(served: PublishedServer, name: str, content: bytes | None = None) -> WeightsEntry:
    """The entry, with a file at its real address; its hashes are of the fabricated one."""
    entry = entry_of(name, fabricated(name))
    served.serve(entry, fabricated(name) if content is None else content)
    return entry


def fetch(entry: WeightsEntry, policy: Policy = QUICK) -> Path:
    return download(entry, policy, convert=published_content)


def left(cache: Path) -> list[str]:
    """All files there are, but for locks."""
    found = (p for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock")
    return sorted(str(path.relative_to(cache)) for path in found)
