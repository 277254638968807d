"""OpenModelDB's catalogue: fetched from a server on this machine, kept, searched, downloaded."""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from srcli.errors import UnknownModel, WeightsError
from srcli.transfer.policy import Policy
from srcli.weights.catalogue import Wanted, forbids_commerce, models_of
from srcli.weights.openmodeldb import entry_of, read_catalogue

QUICK = Policy(back_off=0.01, timeout=5, retries=1)


def model(name: str, url: str, **more: Any) -> dict[str, Any]:
    """A model as the catalogue's JSON has it."""
    resource = {"platform": "pytorch", "type": "pth", "size": 5_000_000, "sha256": "a" * 64,
                "urls": [url]}  # fmt: skip
    return {
        "name": name, "author": "someone", "license": "CC-BY-4.0", "tags": ["photo"],
        "description": "", "date": "2024-01-01", "architecture": "span", "size": ["48nf"],
        "scale": 4, "inputChannels": 3, "outputChannels": 3, "resources": [resource], **more,
    }  # fmt: skip


SHARE = "https://drive.google.com/file/d/1/view?usp=sharing"
CATALOGUE = {
    "4x-PhotoSPAN": model("PhotoSPAN", "https://far.invalid/releases/PhotoSPAN.pth"),
    "2x-AnimeSharp": model(
        "AnimeSharp", "https://far.invalid/AnimeSharp.pth", license="CC-BY-NC-SA-4.0", scale=2,
        tags=["anime"], author=["one", "two"], architecture="compact",
    ),
    "4x-Shared": model("Shared", SHARE),
    "1x-DeNoise": model(
        "DeNoise", "https://far.invalid/DeNoise.pth", license=None, scale=1,
        description="Removes noise of photographs",
    ),
    "4x-OnnxOnly": model(
        "Onnx", "https://far.invalid/o.onnx",
        resources=[{"platform": "onnx", "type": "onnx", "size": 1, "sha256": "b" * 64, "urls": []}],
    ),
    "4x-Odd\x1b[2J": model("Odd", "https://far.invalid/odd.pth"),
    "4x-Broken": {"name": 3, "scale": "four"},
}  # fmt: skip


@dataclass
class CatalogueServer:
    """The server's answer, and a count of requests."""

    address: str = ""
    body: bytes = json.dumps(CATALOGUE).encode()
    status: int = 200
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def far(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CatalogueServer]:
    served = CatalogueServer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            served.asked.append(self.path)
            self.send_response(served.status)
            self.send_header("Content-Length", str(len(served.body)))
            self.end_headers()
            self.wfile.write(served.body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        served.address = f"http://127.0.0.1:{server.server_port}/api/v1/models.json"
        monkeypatch.setenv("SRCLI_OPENMODELDB_URL", served.address)
        yield served
        server.shutdown()
        thread.join()


def ids(**wanted: Any) -> list[str]:
    return [model.id for model in read_catalogue(QUICK).search(Wanted(**wanted))]


def test_search_by_words_and_limits(far: CatalogueServer) -> None:
    assert ids() == ["1x-DeNoise", "2x-AnimeSharp", "4x-PhotoSPAN", "4x-Shared"]
    assert ids(words=("PHOTO",)) == ["1x-DeNoise", "4x-PhotoSPAN", "4x-Shared"]
    assert ids(words=("noise", "photo")) == ["1x-DeNoise"]
    assert ids(words=("two",)) == ["2x-AnimeSharp"]
    assert ids(scale=2) == ["2x-AnimeSharp"]
    assert ids(architecture="SPAN", scale=4) == ["4x-PhotoSPAN", "4x-Shared"]
    assert ids(commercial=True) == ["4x-PhotoSPAN", "4x-Shared"]  # none stated is none
    assert ids(largest=4_999_999) == []
    assert ids(words=("nothing has this",)) == []


def test_catalogue_is_kept_for_a_day(far: CatalogueServer, cache: Path) -> None:
    read_catalogue(QUICK)
    assert read_catalogue(QUICK).stale == ""
    assert len(far.asked) == 1
    kept = cache / "openmodeldb.json"
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(kept, (two_days_ago, two_days_ago))
    assert read_catalogue(QUICK).stale == ""
    assert len(far.asked) == 2


def test_kept_catalogue_serves_without_network(far: CatalogueServer, cache: Path) -> None:
    offline = Policy(offline=True)
    with pytest.raises(WeightsError, match="cannot be had: srcli is offline"):
        read_catalogue(offline)
    read_catalogue(QUICK)
    assert read_catalogue(offline).stale == "srcli is offline"
    os.utime(cache / "openmodeldb.json", (0, 0))
    far.status = 404
    catalogue = read_catalogue(QUICK)
    assert "404" in catalogue.stale
    assert catalogue.date.year == 1970
    assert "4x-PhotoSPAN" in catalogue.models


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b"{", b"\xff\xfe"])
def test_answer_that_is_no_catalogue_replaces_nothing(
    far: CatalogueServer, cache: Path, body: bytes
) -> None:
    read_catalogue(QUICK)
    os.utime(cache / "openmodeldb.json", (0, 0))
    far.body = body
    assert read_catalogue(QUICK).stale
    (cache / "openmodeldb.json").unlink()
    with pytest.raises(WeightsError, match="OpenModelDB's catalogue cannot be had"):
        read_catalogue(QUICK)
    assert not list(cache.glob("*.json"))


def test_damaged_copy_is_deleted_and_told(far: CatalogueServer, cache: Path) -> None:
    read_catalogue(QUICK)
    (cache / "openmodeldb.json").write_text("{", "utf-8")
    with pytest.raises(WeightsError, match="deleted; hint: try again"):
        read_catalogue(QUICK)
    assert read_catalogue(QUICK).models


def test_only_https_addresses_of_files_with_a_hash_are_direct() -> None:
    for url, direct in (
        ("https://github.com/a/b/releases/download/v1/x.pth", True),
        ("https://huggingface.co/a/b/resolve/main/x.pth", True),
        ("https://huggingface.co/a/b/blob/main/x.pth", False),
        ("https://github.com/a/b/blob/main/x.pth", False),
        ("http://far.invalid/x.pth", False),
        ("https://mega.nz/folder/x.pth", False),
        ("https://www.dropbox.com/s/x.pth", False),
        (SHARE, False),
        ("https://[bad/x.pth", False),
        ("file:///etc/x.pth", False),
    ):
        (found,) = models_of({"4x-a": model("a", url)})
        assert found.resource is not None
        assert found.resource.direct is direct, url
    (without,) = models_of(
        {"4x-a": model("a", "", resources=[
            {"type": "pth", "size": 5, "sha256": None, "urls": ["https://far.invalid/x.pth"]}])}
    )  # fmt: skip
    with pytest.raises(WeightsError, match=r"no direct https address with a sha256; hint: get it"):
        entry_of(without)


def test_unknown_model_names_a_near_one(far: CatalogueServer) -> None:
    catalogue = read_catalogue(QUICK)
    assert catalogue.named("openmodeldb:4X-photospan").id == "4x-PhotoSPAN"
    with pytest.raises(UnknownModel, match="hint: -m openmodeldb:4x-PhotoSPAN"):
        catalogue.named("openmodeldb:PhotoSP")
    with pytest.raises(UnknownModel, match="hint: srcli weights search"):
        catalogue.named("openmodeldb:zzz")


def test_non_commercial_licences_are_known_by_their_names() -> None:
    for licence, forbids in (
        ("CC-BY-NC-4.0", True), ("CC-BY-NC-SA-4.0", True), ("cc-by-nc-nd-4.0", True),
        ("MIT", False), ("CC-BY-4.0", False), ("Apache-2.0", False), ("NCSA", False),
        ("not stated", False),
    ):  # fmt: skip
        assert forbids_commerce(licence) is forbids, licence


def test_safetensors_are_taken_before_pickles() -> None:
    pth = {"type": "pth", "size": 5, "sha256": "a" * 64, "urls": ["https://far.invalid/x.pth"]}
    safe = {"type": "safetensors", "size": 6, "sha256": "b" * 64,
            "urls": ["https://far.invalid/x.safetensors"]}  # fmt: skip
    (found,) = models_of({"4x-a": model("a", "", resources=[pth, safe])})
    entry = entry_of(found)
    assert (entry.file, entry.size, entry.converted) == ("4x-a.safetensors", 6, False)
    shared = {**safe, "urls": [SHARE]}
    (found,) = models_of({"4x-a": model("a", "", resources=[pth, shared])})
    assert entry_of(found).file == "4x-a.pth"
