"""DIV2K: the 100 validation images of DIV2K (Agustsson and Timofte, CVPRW 2017)."""

from srcli.data.benchmark_set import BenchmarkSet
from srcli.data.set_source import SetFile, SetPart

__all__ = ["SET"]

_SERVER = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
_NUMBERS = range(801, 901)


def _archive(file: str, size: int, sha256: str, images: dict[str, str]) -> SetFile:
    return SetFile(_SERVER + file, file, images, size, sha256)


def _part(scale: int, size: int, sha256: str) -> SetPart:
    """HR, which is the same for all scales, and its authors' LR."""
    lr = _archive(
        f"DIV2K_valid_LR_bicubic_X{scale}.zip", size, sha256,
        {
            f"{number:04}x{scale}.png": f"LR_bicubic/X{scale}/{number:04}x{scale}.png"
            for number in _NUMBERS
        },
    )  # fmt: skip
    return SetPart(".", (_HR, lr), "for academic research only")


# Sizes and hashes as TensorFlow Datasets has recorded them (datasets/div2k/checksums.tsv).
_HR = _archive(
    "DIV2K_valid_HR.zip",
    448_993_893,
    "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    {f"{number:04}.png": f"HR/{number:04}.png" for number in _NUMBERS},
)
SET = BenchmarkSet(
    name="DIV2K",
    images=100,
    megapixels=2.8,
    parts={
        2: _part(
            2, 117_763_600, "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57"
        ),
        3: _part(3, 54_513_392, "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3"),
        4: _part(4, 31_505_881, "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553"),
    },
)
