"""Sizes are exact, names fit, patterns hold; for any image and any name."""

import unicodedata
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from srcli.errors import UsageError
from srcli.jobs.discover import Filter, Source, discover
from srcli.jobs.file_list import read_file_list
from srcli.jobs.naming import NamePattern, shortened
from srcli.jobs.plan import plan_jobs
from srcli.jobs.target_size import TargetSize

SIDE = st.integers(1, 20000)


@given(SIDE, SIDE, SIDE)
def test_width_and_height(width: int, height: int, asked: int) -> None:
    wide, high = TargetSize(width=asked).size(width, height)
    assert wide == asked
    assert abs(high - Fraction(height * asked, width)) <= Fraction(1, 2) or high == 1
    assert TargetSize(height=asked).size(height, width) == (high, wide)


@given(SIDE, SIDE, SIDE, SIDE)
@example(3, 2, 100, 67)
def test_fit(width: int, height: int, wide: int, high: int) -> None:
    w, h = TargetSize(fit=(wide, high)).size(width, height)
    assert w <= wide
    assert h <= high
    assert w == wide or h == high
    ratio = min(Fraction(wide, width), Fraction(high, height))
    assert abs(w - width * ratio) <= Fraction(1, 2) or w == 1
    assert abs(h - height * ratio) <= Fraction(1, 2) or h == 1


@given(SIDE, SIDE, st.floats(0.01, 400))
def test_megapixels(width: int, height: int, megapixels: float) -> None:
    w, h = TargetSize(megapixels=megapixels).size(width, height)
    most = int(megapixels * 1e6)
    next_high = max(1, (2 * height * (w + 1) + width) // (2 * width))
    assert w * h <= most or w == 1
    assert (w + 1) * next_high > most
    assert abs(h - Fraction(height * w, width)) <= Fraction(1, 2) or h == 1


@given(SIDE, SIDE, st.integers(101, 400))
def test_scale(width: int, height: int, percent: int) -> None:
    w, h = TargetSize(scale=percent / 100).size(width, height)
    assert abs(w - Fraction(width * percent, 100)) <= Fraction(1, 2)
    assert abs(h - Fraction(height * percent, 100)) <= Fraction(1, 2)


def test_one_size_at_a_time() -> None:
    for two in ({"scale": 2.0, "width": 5}, {"width": 5, "height": 5}, {}):
        with pytest.raises(UsageError, match="use one of --scale"):
            TargetSize(**two)  # type: ignore[arg-type]


@pytest.mark.parametrize("megapixels", [float("inf"), float("nan"), 0.0, -1.0])
def test_megapixels_are_a_number(megapixels: float) -> None:
    with pytest.raises(UsageError, match="--megapixels must be above 0"):
        TargetSize(megapixels=megapixels)


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
@example("ü" * 300 + ".jpeg")
@example("\N{MATHEMATICAL SCRIPT CAPITAL X}" * 70 + ".png")
def test_names_fit(name: str) -> None:
    short = shortened(name)
    assert len(short.encode()) <= 255
    assert short == name or Path(short).suffix == Path(name).suffix or len(Path(name).suffix) > 200


def test_long_names_stay_apart() -> None:
    long = "a" * 250
    assert shortened(f"{long}_x4.png") != shortened(f"{long}b_x4.png")


def pattern(text: str, scale: float | None = 4) -> NamePattern:
    return NamePattern(text, scale, "x4" if scale else "w200", "adaformer", "exact")


def test_patterns() -> None:
    name = pattern("{stem}_x{scale}.{ext}").name(Path("in/a.b.jpg"), "png")
    assert name == "a.b_x4.png"
    every = pattern("{stem}-{size}-{model}-{effort}.{ext}").name(Path("a.jpg"), "jpg")
    assert every == "a-x4-adaformer-exact.jpg"
    assert pattern("{{{stem}}}.{ext}").name(Path("a.jpg"), "jpg") == "{a}.jpg"


@pytest.mark.parametrize(
    ("text", "scale", "line"),
    [
        ("{stem}_{date}.{ext}", 4, "no field {date}"),
        ("{stem", 4, "expected '}'"),
        ("out/{stem}.{ext}", 4, "names a folder"),
        ("x.{ext}", 4, "one name"),
        ("{stem:>10}.{ext}", 4, "take no format"),
        ("{stem.__class__}", 4, "no field"),
        ("{stem}_x{scale}.{ext}", None, "use {size}"),
    ],
)
def test_wrong_patterns(text: str, scale: float | None, line: str) -> None:
    with pytest.raises(UsageError, match=line.replace("{", r"\{").replace("}", r"\}")):
        pattern(text, scale)


def test_pattern_must_name_its_format(tmp_path: Path) -> None:
    source = Source(tmp_path / "a.png", None)
    with pytest.raises(UsageError, match="not the name of a png file"):
        plan_jobs([source], None, label="x4", image_format=None, pattern=pattern("{stem}.txt"))


@given(
    st.sets(
        st.tuples(
            st.sampled_from(["a", "A", "b", "é", "é"]), st.sampled_from([".png", ".jpg", ".PNG"])
        ),
        min_size=1,
    ),
    st.sampled_from([None, "png"]),
)
def test_plans_never_collide(names: set[tuple[str, str]], image_format: str | None) -> None:
    """Every result has a name of its own, on any file system; inputs without one fail."""
    sources = [Source(Path("/in") / f"{stem}{ext}", Path("/in")) for stem, ext in sorted(names)]
    wanted = [stem + (".png" if image_format else ext.lower()) for stem, ext in names]
    apart = {unicodedata.normalize("NFC", name).casefold() for name in wanted}
    keys_of = [unicodedata.normalize("NFC", name).casefold() for name in wanted]
    single = {key for key in apart if keys_of.count(key) == 1}
    if not single:
        with pytest.raises(UsageError, match="would both become"):
            plan_jobs(sources, Path("/out"), label="x4", image_format=image_format)
        return
    jobs = plan_jobs(sources, Path("/out"), label="x4", image_format=image_format)
    done = [job for job in jobs if not job.settled]
    keys = {unicodedata.normalize("NFC", str(job.target)).casefold() for job in done}
    assert keys == {f"/out/{name}" for name in single}
    assert len(jobs) == len(names)


@pytest.mark.parametrize(
    ("filter_", "taken"),
    [
        (Filter(include=("*.jpg",)), {"a.jpg", "s/B.JPG", "s/t/c.jpg"}),
        (Filter(include=("s/*.jpg",)), {"s/B.JPG"}),
        (Filter(include=("s/**",)), {"s/B.JPG", "s/t/c.jpg", "s/t/d.png"}),
        (Filter(include=("**/t/*",)), {"s/t/c.jpg", "s/t/d.png"}),
        (Filter(include=("*.jpg",), exclude=("b*",)), {"a.jpg", "s/t/c.jpg"}),
        (Filter(exclude=("s/**",)), {"a.jpg"}),
        (Filter(exclude=("?.jpg",)), {"s/t/d.png"}),
    ],
)
def test_filters(tmp_path: Path, filter_: Filter, taken: set[str]) -> None:
    for name in ("a.jpg", "s/B.JPG", "s/t/c.jpg", "s/t/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = discover((tmp_path,), only=filter_)
    assert {s.path.relative_to(tmp_path).as_posix() for s in found} == taken


def test_globs_and_loops(tmp_path: Path) -> None:
    for name in ("a.jpg", "b[1].jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    found = [s.path.name for s in discover((tmp_path / "*",))]
    assert found == ["a.jpg", "b[1].jpg", "loop.jpg"]
    assert [s.path.name for s in discover((tmp_path / "b[1].jpg",))] == ["b[1].jpg"]
    with pytest.raises(UsageError, match="matches nothing"):
        discover((tmp_path / "*.webp",))


def test_lists() -> None:
    assert read_file_list(b"a b.jpg\r\n\n c.png\n") == [Path("a b.jpg"), Path(" c.png")]
    assert read_file_list(b"a\nb.jpg\0c.png\0") == [Path("a\nb.jpg"), Path("c.png")]
    assert read_file_list("ü.png\n".encode()) == [Path("ü.png")]
