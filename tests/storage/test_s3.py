"""S3 to S3, against moto's server."""

import json
import os
from pathlib import Path

import pytest

from srcli.storage import abort_uploads, download, list_objects, look_up, upload
from srcli.url_paths import UrlPath
from tests.cluster.batches import SMALL, skipped
from tests.forked_python import run_forked
from tests.storage.in_memory import png
from tests.storage.s3_runs import expected, fill, journal, run_s3, states, upscale
from tests.storage.s3_server import Bucket


def status(url: str) -> list[str]:
    """The words that `srcli status` says."""
    return run_forked(["-m", "srcli", "status", url], env=dict(os.environ)).stdout.split()


def test_20_images_of_which_two_are_bad(bucket: Bucket, tmp_path: Path) -> None:
    fill(bucket, tmp_path / "in", 20, bad=2)
    plain = expected(tmp_path / "in")
    ended = run_s3(bucket, "--json", cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert bucket.objects("out") == plain
    assert len(plain) == 18
    head = bucket.client.head_object(Bucket=bucket.name, Key="out/01.png")
    assert head["ContentType"] == "image/png"
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    ends = {one["input"]: one["event"] for one in told if one["event"] in ("done", "failed")}
    assert sorted(ends) == sorted(bucket.url(f"in/{name}") for name in bucket.objects("in"))
    assert states(tmp_path) == {"done": 18, "failed": 2}
    for number in range(2):
        assert f"{bucket.url('in')}/bad{number}.png: " in ended.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
    again = run_s3(bucket, cwd=tmp_path)
    assert (again.returncode, skipped(again.stdout)) == (1, 18)
    secret = "testing-secret"
    assert secret not in ended.stdout + ended.stderr
    assert secret.encode() not in (tmp_path / "run.sqlite").read_bytes()


def test_what_has_changed_by_its_etag_is_done_again(bucket: Bucket, tmp_path: Path) -> None:
    fill(bucket, tmp_path / "in", 4)
    bucket.put("out/03.png", b"somebody's")
    assert skipped(run_s3(bucket, cwd=tmp_path).stdout) == 1
    before = {path.name: entry for path, entry in journal(tmp_path).items()}
    bucket.put("in/00.jpg", (tmp_path / "in" / "02.jpg").read_bytes())
    bucket.put("in/02.jpg", (tmp_path / "in" / "02.jpg").read_bytes())  # the same content
    bucket.client.delete_object(Bucket=bucket.name, Key="out/01.png")
    ended = run_s3(bucket, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert skipped(ended.stdout) == 2
    after = {path.name: entry for path, entry in journal(tmp_path).items()}
    again = {name for name in after if after[name].ended != before[name].ended}
    assert again == {"00.jpg", "01.png"}
    assert bucket.objects("out")["03.png"] == b"somebody's"
    assert bucket.objects("out")["00.jpg"] == bucket.objects("out")["02.jpg"]


def test_status_of_a_bucket_by_its_journal_in_the_data_folder(
    bucket: Bucket, tmp_path: Path
) -> None:
    fill(bucket, tmp_path / "in", 2)
    ended = upscale(bucket.url("in"), *SMALL, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert set(bucket.objects("in_x4")) == {"00.jpg", "01.png"}
    assert len(list((tmp_path / "data" / "srcli" / "journals").glob("in_x4-*.sqlite"))) == 1
    assert status(bucket.url("in_x4"))[:2] == ["intact", "2"]
    bucket.put("in_x4/01.png", b"edited")
    assert status(bucket.url("in_x4"))[:4] == ["altered", "1", "intact", "1"]


@pytest.mark.parametrize(
    ("environment", "code", "line"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 3, "hint: check the credentials"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 3, "cannot be listed: "),
    ],
)
def test_no_login_and_no_server(
    bucket: Bucket, tmp_path: Path, environment: dict[str, str], code: int, line: str
) -> None:
    ended = run_s3(bucket, cwd=tmp_path, HOME=str(tmp_path), **environment)
    assert ended.returncode == code, ended.stderr
    assert line in ended.stderr
    assert "Traceback" not in ended.stderr


def test_no_such_bucket(bucket: Bucket, tmp_path: Path) -> None:
    fill(bucket, tmp_path / "in", 1)
    ended = upscale("s3://no-such/in", *SMALL, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    ended = upscale(bucket.url("in"), "-o", "s3://no-such/out", *SMALL, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert "s3://no-such/out: there is no bucket no-such; hint: check its name" in ended.stderr


def test_a_listing_comes_in_pages(bucket: Bucket) -> None:
    for number in range(17):  # the server's pages have seven
        bucket.put(f"in/{number:02}/a.png", bytes(number))
    bucket.put("in/empty/", b"")
    folder = UrlPath(bucket.url("in"))
    found = list(list_objects(folder))
    assert [one.inside for one in found] == [f"{number:02}/a.png" for number in range(17)]
    assert [one.found.size for one in found] == list(range(17))
    assert found[3].found == look_up(folder / "03/a.png")


def test_a_large_result_is_uploaded_in_parts(bucket: Bucket, tmp_path: Path) -> None:
    content = os.urandom(40 << 20)
    (tmp_path / "large.tif").write_bytes(content)
    url = UrlPath(bucket.url("out/large.tif"))
    assert upload(tmp_path / "large.tif", url).tag.endswith("-3")
    head = bucket.client.head_object(Bucket=bucket.name, Key="out/large.tif")
    assert head["ContentType"] == "image/tiff"
    assert bucket.objects("out")["large.tif"] == content
    assert bucket.uploads() == []
    download(url, tmp_path / "back.tif", lambda found: None)
    assert (tmp_path / "back.tif").read_bytes() == content


def test_uploads_that_a_dead_run_has_left_are_aborted(bucket: Bucket) -> None:
    for key in ("out/mine.png", "out/theirs.png", "outside.png"):
        bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    folder = UrlPath(bucket.url("out"))
    mine = folder / "mine.png"
    assert abort_uploads(folder, lambda url: url == mine) == 1
    assert sorted(bucket.uploads()) == ["out/theirs.png", "outside.png"]


def test_uploads_of_results_are_aborted_when_a_run_begins_and_ends(
    bucket: Bucket, tmp_path: Path
) -> None:
    fill(bucket, tmp_path / "in", 2)
    for key in ("out/00.jpg", "out/theirs.png"):
        bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    assert run_s3(bucket, cwd=tmp_path).returncode == 0
    assert bucket.uploads() == ["out/theirs.png"]


def test_names_that_urls_would_write_otherwise(bucket: Bucket, tmp_path: Path) -> None:
    names = ("a b.png", "50%.png", "img%03d.png", "q?x=1#2.png", "[1]*.png", "ü+&.png", "::.png")
    for number, name in enumerate(names):
        bucket.put(f"in/{name}", png(number))
    ended = run_s3(bucket, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert sorted(bucket.objects("out")) == sorted(names)
    assert skipped(run_s3(bucket, cwd=tmp_path).stdout) == len(names)
    for number, name in enumerate(names):
        out = bucket.url(f"one/{number}.png")
        assert upscale(bucket.url(f"in/{name}"), "-o", out, *SMALL, cwd=tmp_path).returncode == 0
    there = bucket.objects("out")
    assert bucket.objects("one") == {f"{n}.png": there[name] for n, name in enumerate(names)}


def test_results_below_the_inputs(bucket: Bucket, tmp_path: Path) -> None:
    fill(bucket, tmp_path / "in", 2)
    out = bucket.url("in/larger")
    for done in (0, 2):
        ended = upscale(bucket.url("in"), "-o", out, *SMALL, cwd=tmp_path)
        assert (ended.returncode, skipped(ended.stdout)) == (0, done), ended.stderr
    whole = f"s3://{bucket.name}"
    ended = upscale(whole, "-o", f"{whole}/all", *SMALL, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert set(bucket.objects("all/in")) == {"00.jpg", "01.png"}
    assert "it is the result of" in ended.stderr
