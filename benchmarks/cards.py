"""The cards of the models that come with the plugin, for people: `python -m benchmarks.cards` writes docs/models.md."""

from __future__ import annotations

from pathlib import Path

from napari_ganseg.models.describe import describe
from napari_ganseg.models.file import SUFFIX, read_card
from napari_ganseg.models.library import SHIPPED

PAGE = Path("docs/models.md")
HEAD = """# The models that come with the plugin

What each finds, what it was taught with, how good it is on patients it never saw, and what its adversary did. The same
text: `napari-ganseg models NAME`. None of them is a medical device.
"""


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


def page() -> str:
    """All cards, one after the other, their headings a level lower."""
    cards = [describe(read_card(path)) for path in sorted(SHIPPED.glob(f"*{SUFFIX}"))]
    return "\n".join([HEAD, *(lowered(card) + "\n" for card in cards)])


def lowered(markdown: str) -> str:
    """Every heading one level lower."""
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in markdown.splitlines())


if __name__ == "__main__":
    raise SystemExit(main())
