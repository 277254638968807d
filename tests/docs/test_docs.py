"""The documentation tells the truth, as far as a program can know it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from srcli.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text("utf-8") for page in PAGES}
WORDS_A_MINUTE = 230
CALLS = [
    line.split("#")[0].strip()
    for text in TEXTS.values()
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("srcli ")
]


@pytest.mark.parametrize("call", CALLS)
def test_documented_calls_parse(call: str) -> None:
    _, command, *arguments = shlex.split(call)
    if "--help" not in arguments:
        main.commands[command].make_context(command, arguments)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_documented(command: str) -> None:
    assert any(call.startswith(f"srcli {command}") for call in CALLS)


def test_two_lines_set_up_and_run() -> None:
    lines = [line for line in TEXTS["README.md"].splitlines() if line.startswith("python3 -m venv")]
    assert len(lines) == 2
    assert all("-c constraints.txt" in line for line in lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[page.name]):
        assert target.startswith("http") or (page.parent / target).exists(), target


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    named = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return named | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_into_pages_name_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", TEXTS[page.name]):
        found = TEXTS[Path(target).name] if target else TEXTS[page.name]
        assert anchor in anchors(found), f"{target}#{anchor}"


def test_the_readme_is_read_in_five_minutes() -> None:
    text = TEXTS["README.md"]
    assert len(text.splitlines()) <= 120
    assert len(text.split()) <= 5 * WORDS_A_MINUTE


@pytest.mark.parametrize(
    "name", ["adaformer", "batches", "compare", "formats", "measuring", "models", "training"]
)
def test_a_page_about_a_task_is_read_in_six_minutes(name: str) -> None:
    assert len(TEXTS[f"{name}.md"].split()) <= 6 * WORDS_A_MINUTE


def test_the_readme_leads_to_every_page() -> None:
    for page in PAGES[1:]:
        assert f"(docs/{page.name})" in TEXTS["README.md"], page.name


def test_python_of_the_readme_runs() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", TEXTS["README.md"], re.DOTALL)
    names: dict[str, object] = {}
    exec(program, names)
    assert names["larger"].shape == (128, 192, 3)  # type: ignore[attr-defined]


def test_python_about_masks_runs() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", TEXTS["visualize.md"], re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    assert names["explained"].image.shape == (128, 192, 3)
    assert names["explained"].depth.shape == (4, 6)


@pytest.mark.slow
def test_pure_shares_are_those_of_the_table(shared: Path) -> None:
    lr = shared / "data" / "benchmark" / "B100" / "x4" / "LR"
    told = subprocess.run(
        [sys.executable, ROOT / "docs" / "measure" / "pure_shares.py", lr],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    said, _, table = told.partition("\n\n")
    assert said == "100 images; one windowing / two"
    assert table.count("\n") == 5
    assert table in TEXTS["experiments.md"]


def test_no_path_leads_to_what_a_clone_lacks() -> None:
    files = [*PAGES, *(ROOT / "docs" / "measure").glob("*.py")]
    files += [path for path in (ROOT / "srcli").rglob("*") if path.suffix in (".py", ".toml")]
    assert [file for file in files if "shared/" in file.read_text("utf-8")] == []
