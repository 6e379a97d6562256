"""The report's page: one HTML file that needs nothing else and lets nothing run but its own sorting."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path

from napari_ganseg.io.names import shown
from napari_ganseg.metrics.scores import mean_of
from napari_ganseg.report import rows, summary
from napari_ganseg.report.case import ReportCase, readable
from napari_ganseg.report.chart import figure, strip
from napari_ganseg.report.distribution import LEAST, Distribution

NAME = "report.html"
START = b"<!doctype html>\n<!-- a report of napari-ganseg -->"


def html_bytes(folder: Path, cases: Sequence[ReportCase], classes: Sequence[Distribution]) -> bytes:
    """The page: what happened, what failed, how volumes spread, then every case."""
    style, script = part("page.css"), part("page.js")
    title = escape("/".join(shown(p) for p in folder.resolve().parts[-2:]))
    text = f"""{START.decode()}
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(style, script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: segmentation report</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header>
<p class="kind">Segmentation report</p>
<h1>{title}</h1>
{origin(cases)}
</header>
<main>
{figures(cases, classes)}
{failures(cases)}
{volumes(classes)}
{rows.section(cases, classes)}
</main>
<footer>
<p>napari-ganseg {escape(summary.version_of("napari-ganseg") or "")}. For research: every outline wants a look before it
is used. The same figures are in <code>cases.csv</code> and <code>{summary.NAME}</code>.</p>
</footer>
<dialog aria-label="Pictures of a case"><form method="dialog"><button>Close</button></form><div></div></dialog>
<script>{script}</script>
</body>
</html>
"""
    return text.encode()


def part(name: str) -> str:
    """The style or the script, from the package."""
    return (files("napari_ganseg.report") / name).read_text("utf-8")


def policy(style: str, script: str) -> str:
    """Nothing from elsewhere, and of scripts and styles only these two, by hash."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return f"default-src 'none'; img-src data:; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'"


def origin(cases: Sequence[ReportCase]) -> str:
    """Models and date, below the title."""
    models = [
        f'<span title="SHA-256 {escape(m["sha256"])}">{escape(readable(m["name"]))} '
        f"<code>{escape(m['sha256'][:8])}</code></span>"
        for m in summary.models(cases)
    ]
    made_by = f"Made with {' and '.join(models)}. " if models else ""
    return f'<p class="origin">{made_by}Written {datetime.now().astimezone():%d %B %Y, %H:%M}.</p>'


def figures(cases: Sequence[ReportCase], classes: Sequence[Distribution]) -> str:
    """The few numbers that one looks at first."""
    counts = summary.counts(cases)
    far = {case for spread in classes for case in spread.outliers}
    dice = mean_of([case.mean_dice for case in cases])
    tiles = [("cases", str(len(cases)), "")]
    tiles += [(rows.WORDS.get(status, status), str(n), status) for status, n in counts.items() if n]
    tiles += [("with an unusual volume", str(len(far)), "far" if far else "")]
    tiles += [("mean Dice", f"{dice:.3f}", "")] if dice is not None else []
    tiles += [("of work", duration(sum(case.seconds for case in cases)), "")]
    listed = "".join(f'<div class="{kind}"><dt>{name}</dt><dd>{value}</dd></div>' for name, value, kind in tiles)
    return f'<dl class="tiles">{listed}</dl>'


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def failures(cases: Sequence[ReportCase]) -> str:
    """What went wrong, first of all."""
    failed = [case for case in cases if case.result.status == "failed"]
    if not failed:
        return ""
    listed = "".join(
        f"<li><b>{escape(case.name)}</b><span>{escape(readable(case.result.cause))}</span></li>" for case in failed
    )
    return f'<section class="failures"><h2>Failed</h2><ul>{listed}</ul></section>'


def volumes(classes: Sequence[Distribution]) -> str:
    """A strip per class."""
    if not classes:
        return ""
    drawn = "".join(
        f'<figure><figcaption><h3><svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">'
        f'<circle cx="5" cy="5" r="5" fill="{spread.colour}"/></svg>{escape(readable(spread.name))}</h3>'
        f"<p>{spread_in_words(spread)}</p></figcaption>{strip(spread)}</figure>"
        for spread in classes
    )
    return (
        '<section><h2>Volumes</h2><p class="hint">A dot is a case. Shaded: the median and three scaled median absolute '
        f"deviations to either side; red dots lie beyond. Fewer than {LEAST} cases are not judged.</p>"
        f'<div class="strips">{drawn}</div></section>'
    )


def spread_in_words(spread: Distribution) -> str:
    """Range and outliers in a line."""
    low, high = min(spread.volumes_ml), max(spread.volumes_ml)
    far = len(spread.outliers)
    unusual = f', <b class="far">{far} unusual</b>' if far else ""
    return f"{figure(low)} to {figure(high)} mL, mean {figure(spread.mean_ml)} mL{unusual}"
