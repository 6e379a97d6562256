"""A plan for data nobody described."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import blob_case, make_card

from napari_ganseg.errors import UsageError
from napari_ganseg.models import Card
from napari_ganseg.models.card import CardClass
from napari_ganseg.networks import build_generator, divisor
from napari_ganseg.training import Case, config_from_json, config_to_json, plan
from napari_ganseg.training.cases import make_case
from napari_ganseg.training.config import Adversary
from napari_ganseg.training.planning import classes_in, sides_in
from napari_ganseg.volume import LabelClass, LabelMap, Volume, identity_affine


def case(
    shape: tuple[int, ...], spacing: tuple[float, ...], air: float | None = None, dtype: object = np.float32
) -> Case:
    """Tissue around 50 in a box, air or nothing around it."""
    rng = np.random.default_rng(0)
    array = np.full(shape, 0.0 if air is None else air)
    inside = tuple(slice(n // 4, 3 * n // 4) for n in shape)
    array[inside] = rng.normal(50, 20, array[inside].shape)
    labels = np.zeros(shape, np.uint8)
    labels[inside] = 1
    affine = identity_affine(spacing)
    names = (LabelClass(1, "Liver", "#ffffff"),)
    volume = Volume(array=array.astype(dtype), affine=affine)  # type: ignore[call-overload]
    return make_case("a.nii", volume, LabelMap(array=labels, affine=affine, classes=names))


CT = case((90, 128, 128), (3.0, 0.9, 0.9), -1000, np.int16)
MR = case((35, 50, 36), (1.0, 1.0, 1.0))
THICK = case((12, 256, 256), (8.0, 0.6, 0.6))
SLICE = case((256, 200), (1.0, 1.4, 1.4))
SMALL = case((9, 10, 11), (0.05, 0.04, 0.04))
THIN = case((100, 3), (1.0, 0.5, 0.5))


@pytest.mark.parametrize(
    "example", [CT, MR, THICK, SLICE, SMALL, THIN], ids=["CT", "MR", "thick", "slice", "small", "thin"]
)
def test_every_kind_of_data_gets_a_network_that_fits_it(example: Case) -> None:
    config = plan([example, replace(example, name="b.nii")], "mine")
    assert config_from_json(config_to_json(config)) == config
    card, network = config.card, None
    network = build_generator(card.arch, dims=card.dims, in_channels=len(card.channels), out_channels=card.out_channels)
    assert sum(p.numel() for p in network.parameters()) > 1000
    assert card.dims == example.image.spatial_ndim
    assert card.spacing == pytest.approx(example.image.spacing_mm)
    for size, patch, step in zip(example.image.shape, card.patch, divisor(card.arch), strict=True):
        assert patch % step == 0
        assert patch <= max(size + step, 2 * step)


def test_a_ct_gets_a_window_of_soft_tissue_and_of_what_is_labelled() -> None:
    card = plan([CT], "mine").card
    numbers = card.preprocessing.args
    assert (card.modality, card.preprocessing.kind) == ("CT", "ct_window")
    assert (numbers["low"], numbers["high"]) == (-200, 300)
    assert numbers["mean"] == pytest.approx(50, abs=2)
    assert numbers["std"] == pytest.approx(20, abs=2)


def test_anything_else_gets_a_z_score() -> None:
    card = plan([MR], "mine").card
    assert (card.modality, card.preprocessing.kind) == ("any", "z_score")


def test_a_ct_of_which_nothing_varies_still_gets_a_window() -> None:
    flat = replace(CT, image=CT.image.derive(array=np.where(CT.annotation.labels.array, 50, -1000)))
    numbers = plan([flat], "mine").card.preprocessing.args
    assert numbers["low"] < 50 < numbers["high"]


def test_thick_slices_are_halved_less_often() -> None:
    assert divisor(plan([THICK], "mine").card.arch) == (1, 8, 8)
    assert divisor(plan([MR], "mine").card.arch)[0] == divisor(plan([MR], "mine").card.arch)[1]


def test_the_spacing_is_the_median() -> None:
    cases = [case((20, 20, 20), (s, 1.0, 1.0)) for s in (1.0, 2.0, 9.0)]
    assert plan(cases, "mine").card.spacing == (2.0, 1.0, 1.0)


def test_classes_are_those_declared_or_held_under_the_first_name_given() -> None:
    first, second = blob_case(), blob_case("b.nii")
    labels = second.annotation.labels
    array = labels.array.copy()
    array[0, 0, 0] = 9
    named = labels.derive(array=array, classes=(LabelClass(1, "Other", "#ffffff"), LabelClass(5, "Rare", "#ffffff")))
    second = replace(second, annotation=replace(second.annotation, labels=named))
    made = [(c.value, c.name) for c in classes_in([first, second])]
    assert made == [(1, "Box"), (5, "Rare"), (9, "label 9")]
    assert plan([first, second], "mine").card.summary.startswith("Box, Rare, label 9;")


def test_the_field_of_view_is_what_was_seen() -> None:
    view = plan([case((20, 20, 20), (1.0, 1.0, 1.0)), case((30, 20, 20), (1.0, 1.0, 1.0))], "mine").card.field_of_view
    assert view.least_mm == (20.0, 20.0, 20.0)
    assert view.most_mm == (30.0, 20.0, 20.0)


@pytest.mark.parametrize("other", [SLICE, replace(MR, image=Volume(array=np.ones((2, 35, 50, 36)), has_channels=True))])
def test_images_of_two_kinds_are_refused(other: Case) -> None:
    with pytest.raises(UsageError, match=r"a\.nii 3D with 1; train on images of one kind"):
        plan([MR, replace(other, name="b.nii")], "mine")


def test_cases_without_any_label_are_refused() -> None:
    labels = MR.annotation.labels.derive(array=np.zeros(MR.image.shape, np.uint8), classes=())
    with pytest.raises(UsageError, match="there is nothing to learn"):
        plan([replace(MR, annotation=replace(MR.annotation, labels=labels))], "mine")


@pytest.mark.parametrize("parent", [None, plan([MR], "mine").card])
def test_cases_of_painted_slices_are_judged_by_planes(parent: Card | None) -> None:
    known = np.zeros(MR.image.shape, bool)
    known[::5] = True
    painted = replace(MR, annotation=replace(MR.annotation, known=known))
    assert plan([painted], "mine", parent).adversary == Adversary(planes=True)
    assert plan([MR], "mine", parent).adversary == Adversary()


def test_a_class_that_nobody_contoured_stays_only_where_the_parent_knows_it() -> None:
    case = blob_case(shape=(20, 20, 20))
    classes = (LabelClass(1, "Box", "#ff0000"), LabelClass(2, "Organ 2", "#00ff00"), LabelClass(3, "New", "#0000ff"))
    labels = case.annotation.labels.derive(classes=classes)
    partly = replace(case, annotation=replace(case.annotation, labels=labels, missing=frozenset({2, 3})))
    assert [c.name for c in plan([partly], "mine").card.classes] == ["Box"]
    assert [c.name for c in plan([partly], "mine", make_card(3, 2)).card.classes] == ["Box", "Organ 2"]


def test_numbers_are_no_names_and_a_parents_names_take_their_place() -> None:
    case = blob_case(shape=(20, 20, 20))
    labels = case.annotation.labels.derive(classes=(LabelClass(1, "label 1", "#ff0000"),))
    unnamed = replace(case, annotation=replace(case.annotation, labels=labels))
    assert [c.name for c in plan([unnamed], "mine", make_card(3, 2)).card.classes] == ["organ 1"]


def test_much_coarser_images_take_a_parents_features_alone() -> None:
    coarse = identity_affine((4.0, 4.0, 4.0))
    case = blob_case(shape=(40, 40, 40))
    far = replace(
        case, image=replace(case.image, affine=coarse),
        annotation=replace(case.annotation, labels=replace(case.annotation.labels, affine=coarse)),
    )  # fmt: skip
    parent = make_card(3, 2)
    assert plan([case], "mine", parent).card.spacing == parent.spacing
    card = plan([far], "mine", parent).card
    assert (card.spacing, card.arch) == ((4.0, 4.0, 4.0), parent.arch)


def test_right_and_left_are_mirrored_by_their_names() -> None:
    names = (CardClass(3, "Right parotid", "#111111"), CardClass(4, "Left parotid", "#222222"))
    assert sides_in((*names, CardClass(7, "Bright spot", "#333333"))) == ((3, 4),)


def test_what_is_in_one_piece_wherever_it_is_annotated_stays_in_one() -> None:
    whole = blob_case(shape=(20, 20, 20))
    assert plan([whole], "mine").card.postprocessing.largest_component == (1,)
    labels = whole.annotation.labels
    array = np.zeros_like(labels.array)
    array[2:6, 2:6, 2:6] = array[12:16, 12:16, 12:16] = 1
    scattered = replace(whole, annotation=replace(whole.annotation, labels=labels.derive(array=array)))
    assert plan([whole, scattered], "mine").card.postprocessing.largest_component == ()


def test_of_painted_slices_the_filled_in_shape_is_what_counts() -> None:
    whole = blob_case(shape=(20, 20, 20))
    known = np.zeros(whole.annotation.known.shape, np.bool_)
    known[::3] = True
    array = np.where(known, whole.annotation.labels.array, 0)
    labels = whole.annotation.labels.derive(array=array)
    sparse = replace(whole, annotation=replace(whole.annotation, labels=labels, known=known))
    assert plan([sparse], "mine").card.postprocessing.largest_component == (1,)
