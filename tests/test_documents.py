"""What the documents and comments send a reader to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SOURCES = sorted(
    one for folder in ("app", "bench", "migrations", "tests") for one in (ROOT / folder).rglob("*.py")
)

# `app/queries/runs.py`; a path with <a placeholder> in it is an example.
_PATH = re.compile(r"`((?:app|bench|docs|migrations|tests)/[^`\s<>*]*)`")
_LINK = re.compile(r"\]\(([^)#:]+)[)#]")
# `NOTES.md`, and a section of a document that is called by a word in capitals; RFCs have a number there.
_CITED = re.compile(r"\b(?:[A-Z]{3,}\.md\b|[A-Z]{4,}(?:'s)? §\d)")

pytestmark = pytest.mark.sqlite_only


def missing_files(text: str, folder: Path) -> list[str]:
    named = [(ROOT, one) for one in _PATH.findall(text)] + [(folder, one) for one in _LINK.findall(text)]
    return [one for base, one in named if not (base / one).exists()]


def missing_documents(text: str) -> list[str]:
    return [one for one in _CITED.findall(text) if not (ROOT / one).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    assert missing_files(document.read_text(encoding="utf-8"), document.parent) == []


def test_no_comment_cites_a_document_that_is_not_here() -> None:
    looked_at = [one for one in (*DOCUMENTS, *SOURCES) if one != Path(__file__)]
    found = {
        str(one.relative_to(ROOT)): missing_documents(one.read_text(encoding="utf-8")) for one in looked_at
    }
    assert {path: cited for path, cited in found.items() if cited} == {}


def test_what_is_not_there_is_found() -> None:
    text = "See `app/nowhere.py`, `app/<family>/views.py`, `app/permissions.py` and [this](gone.md)."
    assert missing_files(text, ROOT) == ["app/nowhere.py", "gone.md"]
    cited = '"""A rule (SPEC §5, API.md), RFC 9110 §9, ARCHITECTURE.md."""'
    assert missing_documents(cited) == ["SPEC §5", "API.md"]
