"""A server that speaks SFTP on loopback, by paramiko: a folder, for whoever knows the password."""

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

paramiko = pytest.importorskip("paramiko", reason="paramiko is absent: pip install paramiko")

__all__ = ["PASSWORD", "SFTPServer"]

PASSWORD = "correct-horse"


class _Login(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        del username
        known = password == PASSWORD
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return paramiko.OPEN_SUCCEEDED


class _Folder(paramiko.SFTPServerInterface):
    """Serves a folder; errors of the system become those of SFTP."""

    def __init__(self, server: Any, root: Path) -> None:
        super().__init__(server)
        self._root = root

    def _here(self, path: str) -> Path:
        return self._root / self.canonicalize(path).lstrip("/")

    def list_folder(self, path: str) -> Any:
        return self._tried(
            lambda: [
                paramiko.SFTPAttributes.from_stat(one.stat(), one.name)
                for one in self._here(path).iterdir()
            ]
        )

    def stat(self, path: str) -> Any:
        return self._tried(lambda: paramiko.SFTPAttributes.from_stat(self._here(path).stat()))

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        del attr

        def opened() -> Any:
            mode = "r+b" if flags & (os.O_WRONLY | os.O_RDWR) else "rb"
            stream = os.fdopen(os.open(self._here(path), flags, 0o644), mode)
            handle = paramiko.SFTPHandle(flags)
            handle.readfile = handle.writefile = stream
            return handle

        return self._tried(opened)

    def remove(self, path: str) -> int:
        return self._tried(lambda: self._here(path).unlink())

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return self._tried(lambda: self._here(oldpath).replace(self._here(newpath)))

    def mkdir(self, path: str, attr: Any) -> int:
        del attr
        return self._tried(lambda: self._here(path).mkdir())

    @staticmethod
    def _tried(work: Any) -> Any:
        try:
            done = work()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return paramiko.SFTP_OK if done is None or isinstance(done, Path) else done


class SFTPServer:
    """The server; a context manager.

    Args:
        root: What clients see as `/`.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._key = root, paramiko.RSAKey.generate(2048)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sessions: list[Any] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def url(self, folder: str, password: str = PASSWORD) -> str:
        """URL of a folder, with a password."""
        return f"sftp://zoe:{password}@127.0.0.1:{self.port}/{folder}"

    def cut(self) -> int:
        """Cut all connections; return how many there were."""
        sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()
        return len(sessions)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                session = paramiko.Transport(client)
                session.add_server_key(self._key)
                session.set_subsystem_handler("sftp", paramiko.SFTPServer, _Folder, self._root)
                self._sessions.append(session)
                with suppress(paramiko.SSHException, EOFError):
                    session.start_server(server=_Login())
