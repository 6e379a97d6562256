"""The package as a whole: light to import, and headless without napari."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from builders import saved

import napari_ganseg as ganseg
from napari_ganseg import errors

HEAVY = "{'torch', 'monai', 'nibabel', 'napari', 'scipy', 'magicgui', 'qtpy', 'pydantic'} & set(sys.modules)"
NO_NAPARI = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("napari", "magicgui", "qtpy", "superqt", "vispy", "PyQt6", "PySide6"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def offline(event, details):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError(f"somebody asked the network: {details}")

sys.meta_path.insert(0, Absent())
sys.addaudithook(offline)
"""


def python(code: str, *arguments: object) -> list[str]:
    """Run code in a fresh interpreter of a user without a home; return the lines it printed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    homeless = {key: value for key, value in os.environ.items() if key != "HOME"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=homeless)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert python(f"import sys, napari_ganseg; print({HEAVY})") == ["set()"]


def test_the_reader_is_found_without_torch() -> None:
    code = "import sys, napari_ganseg.plugin.reader; print({'torch', 'monai'} & set(sys.modules))"
    assert python(code) == ["set()"]


def test_files_are_read_and_labels_compared_without_torch(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones((4, 5, 6), np.uint8), np.eye(4)), tmp_path / "a.nii")
    code = (
        "import sys, napari_ganseg as g; path = sys.argv[1]; g.read(path); g.evaluate(path, path); g.list_models();"
        "print({'torch', 'monai', 'napari'} & set(sys.modules))"
    )
    assert python(code, tmp_path / "a.nii") == ["set()"]


def test_the_command_line_runs_offline_where_napari_is_not_installed(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.random.default_rng(0).normal(size=(12, 13, 14)), np.eye(4)), tmp_path / "a.nii")
    model = saved(tmp_path)
    code = NO_NAPARI + (
        "from napari_ganseg.cli import main\n"
        "scan, seg, model = sys.argv[1:]\n"
        "print(main(['segment', scan, seg, '--model', model]), main(['evaluate', seg, seg]), main(['models']))\n"
        "print({'napari', 'magicgui', 'qtpy'} & set(sys.modules))"
    )
    lines = python(code, tmp_path / "a.nii", tmp_path / "seg.nii.gz", model)
    assert lines[-2:] == ["0 0 0", "set()"]
    assert (tmp_path / "seg.nii.gz").exists()


SCRIPT = Path(sys.executable).with_name("napari-ganseg")


@pytest.mark.skipif(not SCRIPT.exists(), reason="the command napari-ganseg is not installed beside this Python")
def test_modules_in_the_working_folder_are_not_imported(tmp_path: Path) -> None:
    for name in ("model.py", "random.py", "torch.py", "napari_ganseg.py"):
        (tmp_path / name).write_text("raise SystemExit('imported')")
    done = subprocess.run([SCRIPT, "models"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0
    assert "imported" not in done.stderr


@pytest.mark.parametrize("name", ganseg.__all__)
def test_every_public_name_is_there(name: str) -> None:
    if name in ("in_background", "segment_layers"):
        pytest.importorskip("napari")
    assert callable(getattr(ganseg, name))
    assert name in dir(ganseg)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'napari_ganseg' has no attribute 'nothing'"):
        _ = ganseg.nothing  # type: ignore[attr-defined]


def test_no_public_name_is_hidden_by_a_module() -> None:
    folder = Path(ganseg.__file__).parent
    modules = {p.stem for p in folder.iterdir() if p.is_dir() or p.suffix == ".py"}
    assert not modules & set(ganseg.__all__)


def test_no_error_of_ours_is_a_runtime_error() -> None:
    """napari's generator workers swallow those without a word."""
    kinds = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, Exception)]
    assert len(kinds) == 8
    assert all(issubclass(kind, errors.GansegError) and not issubclass(kind, RuntimeError) for kind in kinds)


def is_weights_only(call: ast.Call) -> bool:
    """Whether torch.load is told in so many words to read tensors alone."""
    told = {k.arg: ast.unparse(k.value) for k in call.keywords}
    return ast.unparse(call.func) == "torch.load" and told.get("weights_only") == "True"


@pytest.mark.parametrize("path", sorted(Path(ganseg.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_no_module_runs_code_that_a_file_brings(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_bytes())))
    imported = {a.name for n in nodes if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}
    imported |= {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
    called = {ast.unparse(n.func) for n in nodes if isinstance(n, ast.Call) and not is_weights_only(n)}
    assert not {name.partition(".")[0] for name in imported} & {"pickle", "yaml", "marshal", "shelve", "joblib"}
    assert not called & {"eval", "exec", "torch.load", "np.load", "numpy.load"}
