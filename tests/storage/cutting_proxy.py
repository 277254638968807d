"""A proxy on loopback that cuts connections, or lets them hang, in the midst of a transfer."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

from tests.storage.s3_server import free_port

__all__ = ["CuttingProxy"]

_RECEIVED = 1 << 16
_ANSWERED = 40  # bytes of an answer that come through before it is cut


class CuttingProxy:
    """Passes requests on to a server; a context manager.

    Args:
        server: Port of the server.

    What becomes of a request is told by `rule`, called with its first line ("PUT /bucket/key"):
    "pass"; "cut", in the midst of what is sent or answered; or "hang" after a part was sent, until
    `released` is set.
    """

    def __init__(self, server: int) -> None:
        self._server, self.port = server, free_port()
        self.rule: Callable[[str], str] = lambda line: "pass"
        self.released, self.hanging = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Pass on what comes, and its answers, until one side ends."""
        cutting = threading.Event()
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            answers = threading.Thread(
                target=self._answer, args=(server, client, cutting), daemon=True
            )
            answers.start()
            with contextlib.suppress(OSError):
                while content := client.recv(_RECEIVED):
                    line = content.split(b"\r\n", 1)[0].decode("latin-1")
                    fate = self.rule(line) if " HTTP/" in line else "pass"
                    if fate == "pass":
                        server.sendall(content)
                        continue
                    if line.startswith("GET"):
                        cutting.set()
                        server.sendall(content)
                        answers.join(timeout=10)
                    else:
                        server.sendall(content[: len(content) // 2])
                    if fate == "hang":
                        self.hanging.set()
                        self.released.wait()
                    break
            for one in (client, server):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _answer(
        self, server: socket.socket, client: socket.socket, cutting: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while content := server.recv(_RECEIVED):
                if cutting.is_set():
                    client.sendall(content[:_ANSWERED])
                    return
                client.sendall(content)
