"""A real server on this machine that serves a file well, badly and maliciously."""

import hashlib
import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from srcli.weights import WeightsEntry
from srcli.weights.manifest_file import as_toml

CONTENT = np.random.default_rng(9).bytes(300_000)
PIECE = 20_000


@dataclass
class Server:
    """A server's files, its address, and the requests seen."""

    address: str = ""
    content: bytes = CONTENT
    requests: list[tuple[str, str]] = field(default_factory=list)  # (path, Range)
    cuts: int = 1  # answers of /cut that end mid-file
    busy: int = 2  # answers of /busy that say 503
    gate: threading.Event = field(default_factory=threading.Event)  # opens the second half
    trickle: float = 10.0  # s between bytes while it is shut

    def url(self, way: str) -> str:
        return f"{self.address}/{way}/far.safetensors"

    def entry(self, *ways: str) -> WeightsEntry:
        return WeightsEntry(
            name="far_x4", model="adaformer", scale=4, file="far.safetensors",
            size=len(self.content), sha256=hashlib.sha256(self.content).hexdigest(),
            licence="CC0-1.0", training_data="none", origin="noise", psnr_protocol="not measured",
            variant="far", urls=tuple(self.url(way) for way in ways),
        )  # fmt: skip

    def manifest(self, path: Path, *ways: str) -> Path:
        path.write_text(as_toml(self.entry(*ways)), "utf-8")
        return path

    def ranges(self, way: str) -> list[str]:
        return [asked for path, asked in self.requests if path.startswith(f"/{way}/")]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.served.requests.append((self.path, self.headers.get("Range", "")))
        path = self.path.removeprefix("http://weights.invalid")  # as a proxy is asked
        way = path.split("/")[1]
        getattr(self, way.replace("-", "_"), self.absent)()
        self.close_connection = True

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def asked(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def part(self) -> tuple[int, bytes, dict[str, str]]:
        content, start = self.served.content, self.asked()
        if not start:
            return 200, content, {}
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return 206, content[start:], headers

    def absent(self) -> None:
        self.answer(404, b"nothing here")

    def ok(self) -> None:
        self.answer(*self.part())

    def slow(self) -> None:
        body = self.served.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for at in range(0, len(body), PIECE):
            self.wfile.write(body[at : at + PIECE])
            time.sleep(0.02)

    def gated(self) -> None:
        body = self.served.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # the client may have been killed
            self.wfile.write(body[: len(body) // 2])
            at = len(body) // 2
            while not self.served.gate.wait(self.served.trickle):
                self.wfile.write(body[at : at + 1])  # or it would be taken for dead
                at += 1
            self.wfile.write(body[at:])

    def cut(self) -> None:
        status, body, headers = self.part()
        self.served.cuts -= 1
        if self.served.cuts >= 0:
            headers["Content-Length"] = str(len(body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
        else:
            self.answer(status, body, headers)

    def always_cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.served.content)))
        self.end_headers()

    def without_ranges(self) -> None:
        if self.served.cuts > 0:
            self.cut()
        else:
            self.answer(200, self.served.content)

    def moody(self) -> None:
        """Ends after more bytes, then after fewer, for ever; knows no ranges."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.served.content)))
        self.end_headers()
        self.wfile.write(self.served.content[: 9_000 + 1_000 * (len(self.served.requests) % 2)])

    def wrong(self) -> None:
        _, body, headers = self.part()
        self.answer(206 if headers else 200, bytes(len(body)), headers)

    def short(self) -> None:
        self.answer(200, b"<html>please log in</html>")

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):  # the client has had enough
            for _ in range(100):
                self.wfile.write(bytes(PIECE))

    def other_part(self) -> None:
        self.answer(206, self.served.content, {"Content-Range": "bytes 7-9/10"})

    def no_such_part(self) -> None:
        if self.asked():
            self.answer(416, b"")
        else:
            self.answer(200, self.served.content)

    def busy(self) -> None:
        self.served.busy -= 1
        if self.served.busy >= 0:
            self.answer(503, b"", {"Retry-After": "0"})
        else:
            self.ok()

    def to(self, where: str) -> None:
        self.answer(302, b"", {"Location": where})

    def moved(self) -> None:
        self.to("/ok/far.safetensors")

    def loop(self) -> None:
        self.to(self.path)

    def to_file(self) -> None:
        self.to("file:///etc/hostname")

    def to_http(self) -> None:
        self.to("http://weights.invalid/far.safetensors")

    def to_nowhere(self) -> None:
        self.to("http://[nowhere/")

    def to_nothing(self) -> None:
        self.to("")

    def to_ftp(self) -> None:
        self.to("ftp://127.0.0.1/far.safetensors")


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    served = Server()
    handler = type("Bound", (Handler,), {"served": served})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        listening.daemon_threads = True
        served.address = f"http://127.0.0.1:{listening.server_port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
            served.address = served.address.replace("http:", "https:")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        served.gate.set()
        listening.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as served:
        yield served


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of a company's own certificate authority, for 127.0.0.1; key and certificate in one file."""
    return make_certificate(tmp_path)


def make_certificate(folder: Path, *hosts: str) -> Path:
    """A certificate that signs itself, for this machine and for hosts by name."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    key, made = folder / "key.pem", folder / "certificate.pem"
    names = ",".join(["IP:127.0.0.1", *(f"DNS:{host}" for host in hosts)])
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         f"subjectAltName={names}", "-keyout", str(key), "-out", str(made)],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_bytes(key.read_bytes() + made.read_bytes())
    return made


@pytest.fixture
def https_server(certificate: Path) -> Iterator[Server]:
    with serving(certificate) as served:
        yield served


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and nothing of this machine's environment."""
    for name in ("SRCLI_OFFLINE", "SRCLI_WEIGHTS_MIRROR", "SRCLI_WEIGHTS_MANIFEST",
                 "SRCLI_WEIGHTS_URL", "SRCLI_TRUST_FIRST", "SRCLI_ACCEPT_LICENCES",
                 "SRCLI_AUTO_DOWNLOAD", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy",
                 "https_proxy", "all_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
                 "CURL_CA_BUNDLE"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SRCLI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def served(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    """The servers of published weights, which the environment leads to."""
    from tests.weights.published_server import serving_published

    with serving_published(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
