"""moto's server, which speaks S3, on loopback; and a client of its own for what tests put there."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from typing import Any, Self

__all__ = ["Bucket", "S3Server", "why_absent"]

_NUMBERS = count()


def why_absent() -> str:
    """Why there can be no server here; "" if there can."""
    for name, package in (("s3fs", "'srcli[s3]'"), ("moto", "'moto[server]'")):
        if find_spec(name) is None:
            return f"{name} is absent: pip install {package}"
    return ""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass(frozen=True)
class Bucket:
    """A bucket, and a client that is not srcli's."""

    name: str
    client: Any

    def url(self, key: str) -> str:
        """The URL of an object, or of what stands for a folder."""
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def objects(self, folder: str) -> dict[str, bytes]:
        """Every object of a folder, by its name in there."""
        pages = self.client.get_paginator("list_objects_v2")
        keys = [
            one["Key"]
            for page in pages.paginate(Bucket=self.name, Prefix=f"{folder}/")
            for one in page.get("Contents", ())
        ]
        return {
            key.removeprefix(f"{folder}/"): self.client.get_object(Bucket=self.name, Key=key)[
                "Body"
            ].read()
            for key in keys
        }

    def uploads(self) -> list[str]:
        """Keys of uploads in parts that are not completed."""
        found = self.client.list_multipart_uploads(Bucket=self.name)
        return [one["Key"] for one in found.get("Uploads", ())]


class S3Server:
    """The server, in a process of its own; a context manager."""

    def __init__(self) -> None:
        self.port = free_port()
        self.environment = self.environment_of(self.port)

    @staticmethod
    def environment_of(port: int) -> dict[str, str]:
        """Environment that a client needs."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "testing-access",
            "AWS_SECRET_ACCESS_KEY": "testing-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": "7"},
        )  # fmt: skip
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(self.environment["AWS_ENDPOINT_URL"], timeout=5).close()
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
            else:
                return self
        self.__exit__()
        raise TimeoutError

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def bucket(self) -> Bucket:
        """Make a bucket."""
        client = import_module("boto3").client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )
        name = f"scans-{next(_NUMBERS)}"
        client.create_bucket(Bucket=name)
        return Bucket(name, client)
