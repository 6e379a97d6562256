"""The sample volumes, and the shipped model on them."""

from pathlib import Path

import numpy as np
import pytest

import napari_ganseg as ganseg

SAMPLES = Path(__file__).parents[1] / "sample_volumes"


@pytest.mark.parametrize("name", ["sample_ct", "sample_mri"])
def test_truth_lies_on_the_grid_of_its_image_and_is_named(name: str) -> None:
    image, truth = ganseg.read(SAMPLES / f"{name}.nii.gz"), ganseg.read_labels(SAMPLES / f"{name}_labels.nii.gz")
    assert image.same_grid_as(truth)
    assert all(voxels > 100 and not truth.name_of(v).startswith("label") for v, voxels in truth.counts().items())


def test_right_parotid_of_the_ct_lies_on_the_patients_right() -> None:
    truth = ganseg.read_labels(SAMPLES / "sample_ct_labels.nii.gz")
    values = {c.name: c.value for c in truth.classes}
    x = {
        name: truth.to_mm(np.argwhere(truth.array == values[name])).mean(axis=0)[0]
        for name in ("Right parotid", "Left parotid")
    }
    assert x["Right parotid"] > 40 > -40 > x["Left parotid"]


def test_ct_is_in_hounsfield_units_with_air_and_bone() -> None:
    image = ganseg.read(SAMPLES / "sample_ct.nii.gz")
    assert image.array.min() <= -950
    assert image.array.max() >= 800


def test_samples_are_made_again_from_their_seed() -> None:
    import phantom_mri

    image, _, _ = phantom_mri.make_mri(0)
    stored = ganseg.read(SAMPLES / "sample_mri.nii.gz")
    np.testing.assert_array_equal(stored.stored.to_array(image), stored.array)  # type: ignore[attr-defined]


def test_shipped_model_finds_every_class_of_the_mri() -> None:
    labels = ganseg.segment(SAMPLES / "sample_mri.nii.gz", model="hippocampus-mri")
    scores = ganseg.evaluate(labels, SAMPLES / "sample_mri_labels.nii.gz")
    assert scores.mean_dice is not None
    assert scores.mean_dice >= 0.6
    assert min(labels.counts().values()) > 100
    assert labels.notes == ()


def test_every_shipped_model_is_pinned_and_says_where_it_comes_from() -> None:
    from napari_ganseg.models.library import SHIPPED, find_model

    for path in SHIPPED.glob("*.safetensors"):
        card = find_model(path.name.removesuffix(".ganseg.safetensors")).card
        assert card.licence
        assert card.citations
        assert card.provenance.data
        assert card.provenance.command.startswith("napari-ganseg train")
