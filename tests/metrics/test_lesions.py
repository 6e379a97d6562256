"""Lesions: which pieces of the truth were found."""

from __future__ import annotations

import numpy as np

from napari_ganseg.metrics.lesions import Lesions, count_lesions


def mask(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_pieces_are_found_missed_and_false() -> None:
    truth = mask("##..#...", "##..#...", "........", "........")
    predicted = mask(".#......", ".#......", "......#.", "#.......")
    assert count_lesions(predicted, truth) == Lesions(found=1, missed=1, false=2)


def test_corners_connect() -> None:
    assert count_lesions(mask("#.", ".#"), mask("#.", ".#")) == Lesions(1, 0, 0)


def test_one_voxel_in_common_finds_a_lesion_and_a_neighbour_does_not() -> None:
    truth = mask("###..")
    assert count_lesions(mask("..##."), truth) == Lesions(1, 0, 0)
    assert count_lesions(mask("...##"), truth) == Lesions(0, 1, 1)


def test_one_piece_over_two_lesions_finds_both_and_is_not_false() -> None:
    assert count_lesions(mask("#####"), mask("#.#..")) == Lesions(2, 0, 0)


def test_swapping_the_sides_swaps_missed_and_false() -> None:
    one, other = (np.random.default_rng(seed).random((9, 9, 9)) < 0.03 for seed in (0, 1))
    there, back = count_lesions(one, other), count_lesions(other, one)
    assert (there.missed, there.false) == (back.false, back.missed)


def test_nothing_has_no_pieces() -> None:
    assert count_lesions(mask("..."), mask("...")) == Lesions(0, 0, 0)
