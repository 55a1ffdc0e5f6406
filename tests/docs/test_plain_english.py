"""Plain English: docstrings open with a verb or a noun, never with a clause, and people are left out of the texts."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

OPENING = re.compile(r"(What|Whether|Where|How|Who|Whose|When|Which|Why)\b")
BANNED = re.compile(
    r"\b(strangers?|somebody|someone|nobody|anybody|(?<!at )all else|gone on from|goes on from|be it that|"
    r"one behind the other|hears?|heard|stumble|to the bottom|nothing better came|that goes on behind)\b",
    re.IGNORECASE,
)  # fmt: skip


def modules():
    yield from sorted((ROOT / "sepkit").rglob("*.py"))
    yield from sorted((ROOT / "plugins").glob("*/sepkit_*/**/*.py"))
    yield from sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "recipes").rglob("*.py")])


def texts():
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", *(ROOT / "plugins").glob("*/README.md")]
    templates = [path for kind in ("tmpl", "js", "html") for path in (ROOT / "sepkit").rglob(f"*.{kind}")]
    return [*modules(), *pages, *templates]


def test_no_docstring_opens_with_a_question_word():
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and (text := ast.get_docstring(node))
        and OPENING.match(text)
    ]
    assert found == []


def test_no_text_uses_a_banned_word():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if BANNED.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("word", ["chunk", "excerpt", "song", "residual", "frame", "sample", "stem", "estimate"])
def test_the_glossary_has_each_word(word):
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    glossary = page.split("## Glossary")[1].split("\n## ")[0]
    assert re.search(rf"^\| [^|]*\b{word}\b", glossary, re.MULTILINE)
