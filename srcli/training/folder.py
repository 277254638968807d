"""A run's folder: where its checkpoint, log and weights lie, and that one run at a time has it."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from srcli.errors import FolderBusy, UsageError, cannot_write
from srcli.training.checkpoint import read_notes

__all__ = ["RunFolder"]


class RunFolder:
    """The folder of one run.

    Args:
        path: Made when the run takes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.safetensors"
        self.log = path / "log.jsonl"

    def weights(self, name: str) -> Path:
        """Where the finished weights go."""
        return self.path / f"{name}.safetensors"

    @contextmanager
    def held(self) -> Generator[None]:
        """Make the folder and keep other runs out of it.

        Raises:
            UsageError: It cannot be made or written to.
            FolderBusy: Another run has it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise FolderBusy(
                f"{self.path} is in use by another run; hint: wait for that one, or use another "
                "--out"
            ) from None
        except OSError as error:
            raise cannot_write(f"cannot write to {self.path}: {error.strerror}", error) from error
        try:
            yield
        finally:
            lock.release()

    def refuse_earlier_run(self) -> None:
        """Refuse to begin again where a checkpoint would be lost.

        Raises:
            UsageError: There is one.
        """
        if self.checkpoint.exists():
            raise UsageError(
                f"{self.path} holds a run at step {self._kept_step()}: --resume continues it, "
                f"another --out leaves it alone; to start again there, remove "
                f"{self.checkpoint.name} first"
            )

    def past_divergence(self, step: int, levers: str) -> str:
        """Advice after a loss that is not finite at `step`: which rates to lower, and where."""
        if not self.checkpoint.exists():
            return f"there is no checkpoint yet: start again with a lower {levers}"
        kept = self._kept_step()
        if kept == str(step):
            return (
                f"the checkpoint has the weights that led there; hint: remove {self.checkpoint}, "
                f"and start again with a lower {levers}"
            )
        return f"the checkpoint of step {kept} stays; hint: lower {levers} and --resume from there"

    def how_to_go_on(self) -> str:
        """Advice for someone who has interrupted the run."""
        if self.checkpoint.exists():
            return f"interrupted; --resume continues from step {self._kept_step()}"
        return "interrupted before the first step; nothing is lost"

    def _kept_step(self) -> str:
        """The step of the checkpoint that there is."""
        return read_notes(self.checkpoint).get("step", "?")
