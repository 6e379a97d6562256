"""The manifest: valid, and each thing it offers works from napari's own menus."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hands import MakeScan
from napari._app_model import get_app_model
from napari.layers import Image, Labels
from npe2 import PluginManager, PluginManifest

Complaints = Callable[[], list[str]]


def execute(command: str) -> None:
    """Run a command as a click in its menu does."""
    get_app_model().commands.execute_command(f"napari-ganseg.{command}").result()


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    """A real viewer, whose menus napari fills."""
    return make_napari_viewer()


def test_manifest_is_valid() -> None:
    done = subprocess.run([sys.executable, "-m", "npe2", "validate", "napari-ganseg"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Manifest for 'Ganseg' valid!" in done.stdout


def test_every_python_name_of_the_manifest_exists() -> None:
    manifest = PluginManifest.from_distribution("napari-ganseg")
    names = [command.python_name for command in manifest.contributions.commands or []]
    assert len(names) == 12
    for module, name in (str(n).split(":") for n in names):
        assert callable(getattr(import_module(module), name))


def test_menu_commands_make_convert_and_save_labels(
    viewer: Any, make_scan: MakeScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaints: Complaints
) -> None:
    viewer.open(str(make_scan(codes="LPI")), plugin="napari-ganseg")
    execute("new_labels")
    labels = viewer.layers[-1]
    assert isinstance(labels, Labels)
    assert len(viewer.layers) == 2
    labels.data[1, 2, 3] = 4
    out = tmp_path / "out.nii.gz"
    monkeypatch.setattr("napari_ganseg.plugin.commands.QFileDialog.getSaveFileName", lambda *_: (str(out), ""))
    execute("save_labels")
    assert (np.asarray(nib.load(out).dataobj) > 0).sum() == 1
    execute("show_as_image")
    assert isinstance(viewer.layers[-1], Image)
    execute("show_as_labels")
    assert isinstance(viewer.layers[-1], Labels)
    assert complaints() == []


def test_menu_command_that_fails_is_a_message(viewer: Any, complaints: Complaints) -> None:
    execute("new_labels")
    assert complaints() == ["Open a scan first."]


def test_widget_docks_from_the_layers_menu(viewer: Any) -> None:
    execute("segment")
    assert [name for name in viewer.window.dock_widgets if "Segment" in name]


@pytest.mark.parametrize("key", ["ct", "mri"])
def test_sample_data_opens_from_the_file_menu(viewer: Any, key: str) -> None:
    (layer,) = viewer.open_sample("napari-ganseg", key)
    assert isinstance(layer, Image)
    assert layer in viewer.layers


def test_file_save_restores_the_grid(viewer: Any, make_scan: MakeScan, tmp_path: Path) -> None:
    source = make_scan(codes="PIL")
    viewer.open(str(source), plugin="napari-ganseg")
    viewer._new_labels()
    labels = viewer.layers[-1]
    labels.data[2, 3, 4] = 7
    assert labels.save(str(tmp_path / "one.nii.gz"), plugin="napari-ganseg") == [str(tmp_path / "one.nii.gz")]
    viewer.layers.selection = {labels}
    viewer.layers.save(str(tmp_path / "two.nii"), selected=True, plugin="napari-ganseg")
    for path in (tmp_path / "one.nii.gz", tmp_path / "two.nii"):
        out = nib.load(path)
        np.testing.assert_allclose(out.affine, nib.load(source).affine, atol=1e-5)
        np.testing.assert_array_equal(np.asarray(nib.as_closest_canonical(out).dataobj), labels.data.T)


def test_preferences_reach_the_plugin(viewer: Any, tmp_path: Path) -> None:
    from napari.settings import get_plugin_settings

    from napari_ganseg.plugin.preferences import model_folder, preferred_device

    assert (preferred_device(), model_folder()) == ("auto", None)
    page = get_plugin_settings("napari-ganseg").segmentation
    page.device, page.model_folder = "cpu", str(tmp_path)
    try:
        assert (preferred_device(), model_folder()) == ("cpu", str(tmp_path))
    finally:
        page.device, page.model_folder = "auto", ""


def test_our_reader_is_the_one_for_nifti(viewer: Any, make_scan: MakeScan) -> None:
    names = {reader.plugin_name for reader in PluginManager.instance().iter_compatible_readers([str(make_scan())])}
    assert "napari-ganseg" in names
    assert PluginManager.instance().get_manifest("napari-ganseg").display_name == "Ganseg"
