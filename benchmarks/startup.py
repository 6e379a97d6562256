"""How long a user waits before anything happens: importing the package, and opening the Segment widget.

    python -m benchmarks.startup     # needs a display (or xvfb-run)

Each is measured in fresh processes, the fastest of three counts; exits 0 when the import takes under 0.3 s and the
widget under 1 s, both without torch in `sys.modules`.
"""

from __future__ import annotations

import subprocess
import sys

IMPORT = """
import sys, time
start = time.perf_counter()
import napari_ganseg
print(time.perf_counter() - start, "torch" in sys.modules)
"""
WIDGET = """
import sys, time
import napari
viewer = napari.Viewer(show=False)
start = time.perf_counter()
viewer.window.add_plugin_dock_widget("napari-ganseg", "Segment CT or MRI")
print(time.perf_counter() - start, "torch" in sys.modules)
viewer.close()
"""
LIMITS_S = {"import": (IMPORT, 0.3), "widget": (WIDGET, 1.0)}


def main() -> int:
    """Print both times; 0 when both are within their limits."""
    figures, is_fine = [], True
    for name, (script, limit_s) in LIMITS_S.items():
        runs = [timed(script) for _ in range(3)]
        best_s, has_torch = min(seconds for seconds, _ in runs), any(torch for _, torch in runs)
        is_fine &= best_s < limit_s and not has_torch
        figures.append(f"{name} {best_s:.3f} s of {limit_s:g} s{', with torch' if has_torch else ''}")
    print("; ".join(figures))
    return 0 if is_fine else 1


def timed(script: str) -> tuple[float, bool]:
    """Seconds that a script printed, and whether torch was there."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    seconds, has_torch = done.stdout.split()[-2:]
    return float(seconds), has_torch == "True"


if __name__ == "__main__":
    raise SystemExit(main())
