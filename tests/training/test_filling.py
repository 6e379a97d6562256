"""Between painted slices the shapes are filled in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from builders import blob_case

from napari_ganseg.training import Case
from napari_ganseg.training.filling import between, filled
from napari_ganseg.volume import Annotation

SHAPE = (13, 24, 24)


def disc(radius: float, centre: float = 11.5) -> np.ndarray:
    y, x = np.indices(SHAPE[1:])
    return ((y - 11.5) ** 2 + (x - centre) ** 2 < radius**2).astype(np.uint8)


def painted(slices: dict[int, np.ndarray]) -> Case:
    """A case of which only these slices are known."""
    case = blob_case(shape=SHAPE)
    array, known = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.bool_)
    for z, labels in slices.items():
        array[z], known[z] = labels, True
    return replace(case, annotation=Annotation(case.annotation.labels.derive(array=array), known))


def test_half_way_between_two_discs_lies_one_of_half_way_size() -> None:
    (middle,) = between(disc(4), disc(8), 2, (1.0, 1.0))
    assert abs(int(middle.sum()) - int(disc(6).sum())) <= 12


def test_equal_slices_are_repeated() -> None:
    assert all(np.array_equal(made, disc(5)) for made in between(disc(5), disc(5), 4, (1.0, 2.0)))


def test_a_shape_that_ends_thins_out() -> None:
    sizes = [int(made.sum()) for made in between(disc(6), disc(0), 5, (1.0, 1.0))]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0


def test_two_classes_do_not_overlap_and_both_stay() -> None:
    both = disc(5, 7) + 2 * (disc(5, 17) & ~disc(5, 7) & 1)
    made = between(both, both, 3, (1.0, 1.0))
    assert np.array_equal(made[0], both)


def test_what_was_painted_stays_and_gaps_become_known() -> None:
    case = filled(painted({2: disc(4), 5: disc(6), 9: disc(5)}))
    known = case.annotation.known
    assert np.flatnonzero(known.all(axis=(1, 2))).tolist() == list(range(2, 10))
    assert not known[:2].any()
    assert np.array_equal(case.annotation.labels.array[5], disc(6))


def test_a_wide_gap_stays_unknown() -> None:
    case = painted({0: disc(4), 12: disc(4)})
    far = replace(case, image=replace(case.image, affine=case.image.affine @ np.diag([1, 1, 1, 1])))
    assert filled(far).annotation.known.all()  # 12 mm
    wide = np.array(case.image.affine)
    wide[:3, 0] *= 2
    moved = replace(case, image=replace(case.image, affine=wide))
    assert np.array_equal(filled(moved).annotation.known, case.annotation.known)  # 24 mm


def test_strokes_and_whole_volumes_stay_as_they_are() -> None:
    whole = blob_case(shape=SHAPE)
    assert np.array_equal(filled(whole).annotation.labels.array, whole.annotation.labels.array)
    flat = blob_case(shape=(20, 20))
    assert filled(flat) is flat
