"""Makes the files in tests/stored/: what version f8df6d1 left on disk, for `test_stored.py`.

    git worktree add /tmp/old f8df6d1
    cd /tmp && PYTHONPATH=/tmp/old python CHECKOUT/tests/stored/make.py CHECKOUT/tests/stored

Runs are killed (SIGKILL) in their midst. The weights are adaformer-s_x2, which that version
shipped and which lies in tests/training/ today.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image

MODEL = ("-m", "adaformer-s", "-s", "2")
QUICK = ("--effort", "fast", "--precision", "fp32", "--device", "cpu")
KILLED = """
import os, sys
from pathlib import Path
from srcli.cli.main import run
from srcli.cli.progress import BatchProgress, PlainProgress

images, frames = int(sys.argv.pop(1)), int(sys.argv.pop(1))

def begun(self, job):
    global images
    images -= 1
    if images == 0:
        os.kill(os.getpid(), 9)

def frame(self, job, done, total):
    if done == frames:
        os.kill(os.getpid(), 9)

BatchProgress.begun, PlainProgress.frame = begun, frame
run()
"""
CONFIG = """
weights = {name = "tiny", licence = "CC0-1.0", training_data = "noise"}
network = {scale = 2, channels = 8, dim = 8, residual_blocks = 1, layers = 2, heads = 2,
            prototypes = 3, confidence_channels = 4, region = 0}
data = {folders = ["hr"], patch = 16, batch = 2}
schedule = {steps = 6, lr = 2e-3, halting_from = 0.5}
validation = {sets = []}
run = {device = "cpu", precision = "fp32", log_every = 1, threads = 1}
"""


def srcli(
    folder: Path, *words: object, killed: tuple[int, int] | None = None, code: int = 0
) -> str:
    """Run the command in a folder; its stdout."""
    program = ["-m", "srcli"] if killed is None else ["-c", KILLED, *map(str, killed)]
    ended = subprocess.run(
        [sys.executable, *program, *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "SRCLI_DATA": str(folder)},
    )
    assert ended.returncode == (code if killed is None else -signal.SIGKILL), ended
    return ended.stdout


def image(path: Path, seed: int, height: int = 16, width: int = 24) -> None:
    """Write a small image with flat, smooth and busy parts."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 7 + seed * 40, y * 9, (x + y) * 4], -1).astype(np.uint8)
    pixels[height // 2 :, width // 2 :] = np.random.default_rng(seed).integers(
        0, 256, (height - height // 2, width - width // 2, 3)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def clip(path: Path, frames: int) -> None:
    """Write a clip of 24x16 px."""
    y, x = np.mgrid[:16, :24]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"crf": "28"})
        video.width, video.height, video.pix_fmt = 24, 16, "yuv420p"
        for number in range(frames):
            pixels = np.stack([x * 5 + number * 3, y * 7 + number, x + y], -1).astype(np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(video.encode(None))
    os.utime(path, ns=(10**18, 10**18))  # its identity holds its time, which git does not keep


def make(folder: Path) -> None:
    """Fill the folder again."""
    for name in ("journal", "clip", "training", "json"):
        shutil.rmtree(folder / name, ignore_errors=True)
    journal = folder / "journal"
    for seed, name in enumerate("abdef"):
        image(journal / "in" / f"{name}.png", seed)
    (journal / "in" / "c.png").write_bytes((journal / "in" / "a.png").read_bytes()[:200])
    words = ("upscale", "in", "-o", "out", *MODEL, *QUICK, "--no-disk-check")
    srcli(journal, *words, killed=(4, 0))  # a and b done, c failed, d or e begun
    (folder / "clip").mkdir()
    clip(folder / "clip" / "in.mp4", 132)
    words = ("upscale", "in.mp4", *MODEL, *QUICK)
    srcli(folder / "clip", *words, "-o", "out.mp4", killed=(0, 130))
    words = ("upscale", "in.mp4", *MODEL, *QUICK, "--duration", "0.4")
    srcli(folder / "clip", *words, "--frames-dir", "frames", killed=(0, 6))
    training = folder / "training"
    for seed in range(2):
        image(training / "hr" / f"{seed}.png", seed, 40, 40)
    (training / "tiny.toml").write_text(CONFIG.replace("\n   ", ""))
    srcli(training, "train", "tiny.toml", "--out", "run", "--steps", "3")
    make_json(folder / "json")


def make_json(folder: Path) -> None:
    """Run every command that writes JSON."""
    for part, side in (("HR", 2), ("LR", 1)):
        for seed in range(2):
            image(folder / "Set5" / "x2" / part / f"{seed}.png", seed, 24 * side, 32 * side)
    lr = folder / "Set5" / "x2" / "LR"
    srcli(
        folder, "bench", "-d", "Set5", "-s", 2, "-m", "bicubic,adaformer-s", "--repeats", 1,
        "--json", "bench.json",
    )  # fmt: skip
    image(folder / "one.png", 0)
    srcli(folder, "visualize-mask", "one.png", "-m", "adaformer-s", "-s", 2)
    shutil.move(folder / "one_masks" / "summary.json", folder / "summary.json")
    shutil.rmtree(folder / "one_masks")
    batch = ("upscale", lr, "-o", "out", *MODEL, *QUICK, "--json")
    texts = {
        "dry_run.jsonl": srcli(folder, *batch, "--dry-run"),
        "upscale.jsonl": srcli(folder, *batch),
        "again.jsonl": srcli(folder, *batch),
        "status.json": srcli(folder, "status", "out", "--json"),
        "verify.json": srcli(folder, "verify", "out", "--json"),
        "weights.json": srcli(folder, "weights", "list", "--json"),
        "weights_show.json": srcli(folder, "weights", "show", "adaformer_x4", "--json"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    shutil.rmtree(folder / "out")


if __name__ == "__main__":
    make(Path(sys.argv[1]).absolute())
