"""Where a layer lies: as its reader said, as its file says, as its neighbour does, or as assumed and said."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hands import MakeScan, opened
from napari.layers import Image, Labels
from napari.layers._source import layer_source
from scipy.ndimage import gaussian_filter

from napari_ganseg.errors import UsageError
from napari_ganseg.io.stored import StoredGrid
from napari_ganseg.plugin import registry
from napari_ganseg.plugin.registry import choose_letters, letters_of, placement_of
from napari_ganseg.plugin.transform import transform_of


def by_another_reader(path: Any, kind: type[Any] = Image, **fields: Any) -> Any:
    """A layer of the file's own voxels in the file's own order, as plain readers make it."""
    image = nib.load(path)
    with layer_source(path=str(path)):
        return kind(np.asarray(image.dataobj), name="other", scale=image.header.get_zooms(), **fields)


def test_our_layer_keeps_its_placement_when_it_is_moved(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan(codes="PIR"))
    placement = placement_of(image)
    image.translate = (1, 2, 3)
    assert placement_of(image) is placement
    assert placement.assumption == ""


def test_reshaped_layer_forgets_its_placement_and_says_so(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan())
    image.data = image.data[2:]
    placement = placement_of(image)
    assert placement.stored is None
    assert "orientation assumed" in placement.assumption


def test_layer_of_another_reader_is_found_in_its_file(make_scan: MakeScan) -> None:
    layer = by_another_reader(make_scan(codes="PIL"))
    placement = placement_of(layer)
    assert placement.assumption == ""
    assert isinstance(placement.stored, StoredGrid)
    np.testing.assert_array_equal(placement.stored.to_stored(placement.upright(layer.data)), layer.data)


def test_its_file_is_read_once_whatever_comes_of_it(make_scan: MakeScan, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = by_another_reader(make_scan("a.nii")), by_another_reader(make_scan("b.nii"))
    bad.data = bad.data + 1
    reads: list[Any] = []
    read = registry.read_any
    monkeypatch.setattr(registry, "read_any", lambda path: reads.append(path) or read(path))
    for _ in range(3):
        placement_of(good)
        placement_of(bad)
    assert len(reads) == 2
    good.data = good.data[::-1].copy()
    assert placement_of(good).flips == (False, False, True)
    assert len(reads) == 3


def test_file_that_is_gone_or_damaged_leaves_the_orientation_unknown(make_scan: MakeScan) -> None:
    path = make_scan()
    layer = by_another_reader(path)
    path.write_bytes(path.read_bytes()[:-20])
    assert "orientation assumed" in placement_of(layer).assumption
    gone = by_another_reader(make_scan("gone.nii"))
    (path.parent / "gone.nii").unlink()
    assert "orientation assumed" in placement_of(gone).assumption


def test_label_file_opened_by_another_reader_may_be_saved_again(make_scan: MakeScan) -> None:
    labels = np.zeros((14, 12, 10), np.uint8)
    labels[2:7, 3:9, 4:9] = 1
    labels[3, 4, 5:7] = 2
    placement = placement_of(by_another_reader(make_scan(array=labels), Labels))
    assert isinstance(placement.stored, StoredGrid)
    assert not placement.stored.is_image


def test_filtered_copy_lies_where_its_scan_lies_and_says_so(viewer: Any, make_scan: MakeScan) -> None:
    (image,) = opened(viewer, make_scan(codes="LPI"))
    smooth = Image(gaussian_filter(image.data.astype(np.float32), 1), name="smooth", **transform_of(image))
    placement = placement_of(smooth)
    assert placement.stored is placement_of(image).stored
    assert placement.assumption == ""
    assert placement.notes[-1] == "smooth lies on scan voxel by voxel; its orientation was taken from there."


def test_array_that_nobody_placed_is_no_copy_of_a_scan(viewer: Any, make_scan: MakeScan) -> None:
    affine = np.eye(4)
    (image,) = opened(viewer, make_scan(affine=affine))
    assert np.array_equal(image.translate, (0, 0, 0))
    assert "orientation assumed" in placement_of(Image(image.data + 1)).assumption


def test_letters_of_an_unknown_layer_are_remembered_with_it() -> None:
    layer, other = Image(np.zeros((3, 4, 5))), Image(np.zeros((3, 4, 5)))
    choose_letters(layer, "RAS")
    assert placement_of(layer).axes == (2, 1, 0)
    assert letters_of(other) == "SPL"


def test_voxel_size_of_an_array_is_that_of_its_whole_transform_in_its_unit() -> None:
    layer = Image(np.zeros((3, 4, 5)), scale=(500, 250, 250), affine=np.diag([2, 1, 1, 1]), units="um", name="x")
    placement = placement_of(layer)
    np.testing.assert_allclose(placement.volume(layer.data).spacing_mm, (1, 0.25, 0.25))
    assert placement.notes == ()


def test_array_without_a_unit_is_taken_as_millimetres_and_says_so() -> None:
    placement = placement_of(Image(np.zeros((3, 4, 5)), scale=(3, 2, 1), name="x"))
    assert placement.notes == ("x gives no unit of length; millimetres assumed.",)
    assert placement.all_notes[1].startswith("orientation assumed: the axes of x grow to S, P, L")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Image(np.zeros((4, 4, 3), np.uint8), rgb=True, name="x"), "is a colour image"),
        (Image([np.zeros((8, 8)), np.zeros((4, 4))], multiscale=True, name="x"), "is a multiscale layer"),
        (Image(np.zeros((2, 3, 4, 5)), name="x"), "has 4 axes; split it"),
        (Labels(np.zeros((2, 3, 4, 5), int), name="x"), "has 4 axes; split it"),
    ],
)
def test_what_is_no_scan_is_refused_by_name(layer: Any, words: str) -> None:
    with pytest.raises(UsageError, match=f'^"x" {words}'):
        placement_of(layer)


def test_removed_scan_is_no_neighbour(viewer: Any, make_scan: MakeScan) -> None:
    opened(viewer, make_scan(codes="RAS"))
    viewer.layers.clear()
    (image,) = opened(viewer, make_scan(codes="LPS"))
    copy = Image(image.data + 1, **transform_of(image))
    assert placement_of(copy).stored is placement_of(image).stored
    viewer.layers.clear()
    assert "orientation assumed" in placement_of(copy).assumption
