"""The table of the page: a row per case with its pictures and volumes, to be sorted by any column."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from napari_ganseg.batch.result import Status
from napari_ganseg.report.case import Measured, ReportCase, readable
from napari_ganseg.report.distribution import Distribution
from napari_ganseg.report.pictures import SIDE, Picture, pictures_of

PICTURED = 200  # cases with pictures at the most, so that the page stays small and is soon made
ORDER = ("failed", "cancelled", "done", "skipped")
WORDS: dict[Status, str] = {"skipped": "done before"}  # what people want to know of it
ARROWS = {"high": "▲", "low": "▼", "": ""}
ABOVE = {"high": "far above the others", "low": "far below the others"}


def section(cases: Sequence[ReportCase], classes: Sequence[Distribution]) -> str:
    """The table: failures first, then unusual volumes, then the others by name."""
    by_name = {spread.name: spread for spread in classes}
    ordered = sorted(cases, key=lambda case: rank(case, by_name))
    good = [case for case in ordered if case.result.is_good]
    pictured = {case.result.name for case in good[:PICTURED]}
    left_out = f" Pictures of the first {PICTURED} of {len(good)}." if len(good) > PICTURED else ""
    is_scored = any(case.mean_dice is not None for case in cases)
    body = "\n".join(row(case, by_name, has_picture=case.result.name in pictured, is_scored=is_scored)
                     for case in ordered)  # fmt: skip
    return f"""<section><div class="bar"><h2 id="cases">Cases</h2>
<label>Find <input type="search" placeholder="name, status, note"></label></div>
<p class="hint">Click a heading to sort, a picture to enlarge it. Patient's right, or front, at the left.{left_out}</p>
<div class="scroll" tabindex="0" role="region" aria-labelledby="cases"><table>
<thead><tr>{"".join(headings(classes, is_scored=is_scored))}</tr></thead>
<tbody>
{body}
</tbody></table></div>
<p class="none" role="status" hidden>No case matches.</p></section>"""


def rank(case: ReportCase, classes: dict[str, Distribution]) -> tuple[int, bool, str]:
    """Where a case stands before anybody sorts."""
    place = ORDER.index(case.result.status)
    return min(place, 2), not unusual(case, classes), case.name


def unusual(case: ReportCase, classes: dict[str, Distribution]) -> int:
    """How many of a case's volumes lie far out."""
    return sum(classes[c.name].side_of(c.ml) != "" for c in case.classes)


def headings(classes: Sequence[Distribution], *, is_scored: bool) -> list[str]:
    """The columns' headings; each a button, but that of the pictures."""
    names = [(f"{escape(readable(spread.name))} <small>mL</small>", "number") for spread in classes]
    first = [("Case", "text"), ("Status", "text"), ("Unusual", "number")]
    last = [*([("Dice", "number")] if is_scored else []), ("Seconds", "number"), ("Notes", "text")]
    made = [
        f'<th scope="col" class="{kind}" aria-sort="none"><button type="button">{name}</button></th>'
        for name, kind in [*first, *names, *last]
    ]
    return [made[0], '<th scope="col">Axial, coronal, sagittal</th>', *made[1:]]


def row(case: ReportCase, classes: dict[str, Distribution], *, has_picture: bool, is_scored: bool) -> str:
    """One case."""
    result, found = case.result, {c.name: c for c in case.classes}
    far = unusual(case, classes)
    notes = readable(" ".join(filter(None, (result.cause, *result.notes))))
    cells = [
        f'<th scope="row">{escape(case.name)}</th>',
        f"<td>{pictures(case) if has_picture else ''}</td>",
        status(result.status),
        number(far, f'<b class="far">{far}</b>' if far else "0") if result.is_good else number(None, ""),
        *(volume(found.get(name), spread) for name, spread in classes.items()),
        *([number(case.mean_dice, f"{case.mean_dice:.3f}" if case.mean_dice is not None else "")] if is_scored else []),
        number(case.seconds, f"{case.seconds:.1f}"),
        f'<td class="notes">{escape(notes)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def status(word: Status) -> str:
    """What became of it; sorts failures first."""
    return f'<td data-value="{ORDER.index(word)}"><span class="status {word}">{WORDS.get(word, word)}</span></td>'


def volume(measured: Measured | None, spread: Distribution) -> str:
    """A volume, marked where it lies far out, with its Dice where there is one."""
    if measured is None:
        return number(None, "")
    side = spread.side_of(measured.ml)
    mark = f'<b class="far" title="{ABOVE[side]}">{ARROWS[side]}</b> ' if side else ""
    dice = f"<small>Dice {measured.dice:.3f}</small>" if measured.dice is not None else ""
    return number(measured.ml, f"{mark}{measured.ml:.3f}{dice}")


def number(value: float | None, content: str) -> str:
    """A cell that sorts by a number; an empty one comes last."""
    return f'<td class="number" data-value="{"" if value is None else repr(float(value))}">{content}</td>'


def pictures(case: ReportCase) -> str:
    """The three pictures, as one button; or why there is none."""
    made, why = pictures_of(case)
    if not made:
        return f'<p class="missing">No picture: {escape(readable(why))}</p>'
    drawn = "".join(picture(p) for p in made)
    name = escape(case.name)
    return f'<button type="button" class="planes" aria-label="Enlarge the pictures of {name}">{drawn}</button>'


def picture(p: Picture) -> str:
    """One picture with the letters of the patient's sides."""
    words = f"{p.title} plane, {p.left} at the left"
    return (
        f'<span class="plane"><img src="{p.uri}" alt="{words}" title="{p.title}" width="{SIDE}" height="{SIDE}">'
        f"<i>{p.left}</i><i>{p.right}</i></span>"
    )
