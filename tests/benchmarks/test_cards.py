"""The page of models says what the model files say."""

from __future__ import annotations

from benchmarks.cards import PAGE, lowered, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m benchmarks.cards"


def test_headings_go_a_level_lower() -> None:
    assert lowered("# a\n\ntext\n## b") == "## a\n\ntext\n### b"
