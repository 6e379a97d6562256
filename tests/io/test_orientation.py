"""What a header says about place and size, and what is said where it says too little or two things."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_ganseg import io
from napari_ganseg.errors import FileError
from napari_ganseg.volume import Volume

UNKNOWN = "orientation unknown: left and right may be swapped."
INVALID = re.escape("the orientation is invalid; use voxel sizes only? (orientation='voxel-sizes' in Python, "
                    "--voxel-sizes-only in the shell)")  # fmt: skip
SIZES = [1, 2, 3, 4, 1, 1, 1, 1]


@pytest.fixture
def read(make):
    """Read a file whose header has these fields."""
    return lambda **fields: io.read(make(**fields))


def rewritten(volume: Volume, tmp_path: Path) -> Volume:
    """An empty label map made on a volume, written and read back as an image."""
    labels = io.read_labels(volume.stored.path, orientation="voxel-sizes").derive(
        array=np.zeros(volume.shape, np.uint8), affine=volume.affine, stored=volume.stored
    )
    return io.read(io.write(tmp_path / "labels.nii", labels))


def test_a_plain_file_needs_no_notes(read) -> None:
    assert read().notes == ()
    assert (
        read(qform_code=1, pixdim=[1, 0.7, 0.8, 2.5, 1, 1, 1, 1], qoffset_x=-20, qoffset_y=10, qoffset_z=5).notes == ()
    )


@pytest.mark.parametrize("codes", [(0, 0), (77, 99), (-1, 0), (0, 6)])
def test_without_a_known_code_left_and_right_may_be_swapped(read, codes: tuple[int, int], tmp_path) -> None:
    volume = read(qform_code=codes[0], sform_code=codes[1], pixdim=SIZES)
    assert volume.notes == (UNKNOWN,)
    assert volume.spacing_mm == (4, 3, 2)
    assert np.allclose(volume.to_mm([(n - 1) / 2 for n in volume.shape]), 0)
    assert rewritten(volume, tmp_path).same_grid_as(volume)


def test_without_codes_the_affine_is_the_one_nibabel_falls_back_to(make) -> None:
    path = make(sform_code=0, pixdim=SIZES)
    assert np.allclose(io.read(path).to_mm((0, 0, 7)), nib.load(path).affine[:3, 3])


def test_the_sform_comes_first_then_the_qform(read) -> None:
    assert read(qform_code=0, sform_code=1).spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert read(qform_code=1, sform_code=0, pixdim=SIZES).spacing_mm == (4, 3, 2)


@pytest.mark.parametrize("qfac", [0, 5, np.nan, 1])
def test_a_qform_without_a_valid_sign_is_right_handed(read, qfac: float) -> None:
    volume = read(qform_code=1, sform_code=0, pixdim=[qfac, *SIZES[1:]])
    assert (volume.notes, volume.affine[2, 0]) == ((), 4)


@pytest.mark.parametrize(
    "row", [[0, 0, 0, 0], [np.nan, 0, 0, 0], [np.inf, 0, 0, 0], [1e30, 0, 0, 0], [0, 0.8, 0, 0], [0, 0, 1e-20, 0]]
)
def test_an_invalid_affine_is_refused_unless_voxel_sizes_are_enough(make, row: list[float], tmp_path) -> None:
    path = make(srow_x=row, pixdim=SIZES)
    with pytest.raises(FileError, match=f"^Cannot open scan.nii: {INVALID}$"):
        io.read(path)
    volume = io.read(path, orientation="voxel-sizes")
    assert volume.spacing_mm == (4, 3, 2)
    assert volume.notes == (UNKNOWN,)
    assert rewritten(volume, tmp_path).same_grid_as(volume)


def test_an_invalid_sform_gives_way_to_a_valid_qform(read) -> None:
    volume = read(srow_x=[0, 0, 0, 0], qform_code=1, pixdim=SIZES)
    assert volume.spacing_mm == (4, 3, 2)
    assert volume.notes == ("the sform is invalid; the qform is used.",)


@pytest.mark.parametrize("quatern", [0.9, np.nan, np.inf, 1e30])
def test_an_invalid_quaternion_gives_way_to_a_valid_sform(make, quatern: float) -> None:
    fields = {"quatern_b": quatern, "quatern_c": quatern, "qform_code": 1}
    assert io.read(make(**fields)).spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    with pytest.raises(FileError, match=INVALID):
        io.read(make(**fields, sform_code=0))


def same_place(**fields: object) -> dict[str, object]:
    """A qform equal to the fixture's sform, but for what is given."""
    here = {
        "qform_code": 1,
        "pixdim": [1, 0.7, 0.8, 2.5, 0, 0, 0, 0],
        "qoffset_x": -20,
        "qoffset_y": 10,
        "qoffset_z": 5,
    }
    return here | fields


DISAGREEMENTS = {
    "sizes": (same_place(pixdim=[1, 3, 0.8, 2.5, 0, 0, 0, 0]), "voxel sizes 3 x 0.8 x 2.5 against 0.7 x 0.8 x 2.5 mm"),
    "place": (same_place(qoffset_x=-30), "first voxel at (-30, 10, 5) against (-20, 10, 5) mm"),
    "turn": (same_place(quatern_d=np.sin(np.radians(10))), "axes up to 20 degrees apart"),
    "flip": (same_place(quatern_d=1), "axes LPS against RAS, up to 180 degrees apart"),
    "mirror": (same_place(pixdim=[-1, 0.7, 0.8, 2.5, 0, 0, 0, 0]), "axes RAI against RAS, up to 180 degrees apart"),
    "shear": (same_place(srow_x=[0.7, 0.05, 0, -20]), "axes up to 3.58 degrees apart"),
}


@pytest.mark.parametrize(("fields", "text"), DISAGREEMENTS.values(), ids=DISAGREEMENTS)
def test_a_qform_against_the_sform_is_said_with_what_differs(read, fields: dict, text: str) -> None:
    notes = [n for n in read(**fields).notes if "sform" in n]
    assert notes == [f"qform and sform disagree: {text}; the sform is used."]


@pytest.mark.parametrize("fields", [same_place(), same_place(qoffset_x=-20.1), same_place(quatern_d=0.001)])
def test_rounding_is_no_disagreement(read, fields: dict) -> None:
    assert read(**fields).notes == ()


def test_millimetres_and_millilitres_come_from_the_affine(read) -> None:
    volume = read(pixdim=[1, 2.1, 2.4, 7.5, 1, 1, 1, 1])
    assert volume.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert volume.voxel_ml == pytest.approx(0.0014)
    text = "the voxel sizes in pixdim (2.1 x 2.4 x 7.5 mm) are not the affine's (0.7 x 0.8 x 2.5 mm), which is used."
    assert volume.notes == (text,)


@pytest.mark.parametrize("size", [0, np.nan, np.inf])
def test_a_missing_voxel_size_is_assumed_or_taken_from_the_affine(read, size: float) -> None:
    pixdim = [1, size, 2, size, 0, 0, 0, 0]
    alone, beside_sform = read(pixdim=pixdim, sform_code=0), read(pixdim=pixdim)
    assert alone.spacing_mm == (1, 2, 1)
    assert alone.notes == ("voxel size missing, 1 mm assumed.", UNKNOWN)
    assert beside_sform.notes == ("voxel size missing in pixdim; the affine's is used.",)


def test_a_negative_voxel_size_loses_its_sign(read) -> None:
    volume = read(pixdim=[1, -2, 2, 3, 0, 0, 0, 0], sform_code=0)
    assert volume.spacing_mm == (3, 2, 2)
    assert volume.notes == ("voxel size -2 is negative; 2 is used.", UNKNOWN)


@pytest.mark.parametrize(
    ("kind", "sizes"), [(nib.Nifti1Image, (1e30, 1e-30)), (nib.Nifti1Image, (1e-40, 1)), (nib.Nifti2Image, (1e200, 1))]
)
def test_absurd_voxel_sizes_are_refused_even_where_they_are_all_there_is(make, kind, sizes) -> None:
    path = make(kind=kind, pixdim=[1, *sizes, 1, 0, 0, 0, 0], sform_code=0)
    with pytest.raises(FileError, match=r"^Cannot open scan\.nii: The orientation is invalid: "):
        io.read(path, orientation="voxel-sizes")


@pytest.mark.parametrize(
    ("unit", "factor", "note"),
    [
        (0, 1, "the unit of length is missing; millimetres assumed."),
        (7, 1, "the unit of length is missing; millimetres assumed."),
        (5, 1, "the unit of length is missing; millimetres assumed."),
        (1, 1000, "the file's unit is metre; converted to millimetres."),
        (3, 0.001, "the file's unit is micrometre; converted to millimetres."),
        (2 + 8, 1, None),
    ],
)
def test_everything_is_in_millimetres(read, unit: int, factor: float, note: str | None, tmp_path) -> None:
    volume = read(xyzt_units=unit)
    assert volume.spacing_mm == pytest.approx(tuple(factor * s for s in (2.5, 0.8, 0.7)))
    assert volume.to_mm((0, 0, 0)) == pytest.approx(np.array((-20, 10, 5)) * factor)
    assert volume.notes == ((note,) if note else ())
    assert rewritten(volume, tmp_path).same_grid_as(volume)


@pytest.mark.parametrize(("shear", "is_said"), [(0.0005, False), (0.5, True)])
def test_a_sheared_grid_is_exact_and_said(read, tmp_path, shear: float, is_said: bool) -> None:
    volume = read(srow_x=[0.7, shear * 0.8, 0, -20])
    said = "the grid is sheared: volumes exact, display approximate."
    assert (said in volume.notes) is is_said
    assert volume.voxel_ml == pytest.approx(0.0014)
    assert np.array_equal(rewritten(volume, tmp_path).affine, volume.affine)


def test_a_2d_file_without_a_normal_gets_one(make, ct) -> None:
    volume = io.read(make("x.nii", ct[:, :, 0], srow_x=[0.7, 0, 0, 0], srow_y=[0, 0.8, 0, 0], srow_z=[0, 0, 0, 3]))
    assert volume.affine[:3, 0] == pytest.approx((0, 0, 0.7))
    assert volume.spacing_mm == pytest.approx((0.8, 0.7))
    assert volume.notes == ()


def test_notes_of_real_files_say_something_new(data_dir) -> None:
    notes = io.read(data_dir / "odd_inputs" / "nibabel" / "anatomical.nii").notes
    assert len(notes) == len(set(notes))
