"""segment(): labels on the scan's own grid, the same whatever way the scan came, or a word on why not."""

from __future__ import annotations

import gc
import json
import weakref
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from builders import HU, Z_SCORE, ball, bands_model, make_card, noise, random_model, saved
from torch import Tensor, nn

import napari_ganseg as ganseg
from napari_ganseg.errors import (
    Cancelled,
    ComputeError,
    DomainError,
    FileError,
    GansegError,
    GeometryError,
    ModelError,
    UsageError,
)
from napari_ganseg.inference import segment, segmentation
from napari_ganseg.inference.precision import name_of
from napari_ganseg.inference.settings import Settings
from napari_ganseg.models import Model
from napari_ganseg.models.card import CardClass, FieldOfView, Postprocessing
from napari_ganseg.volume import LabelMap, Volume, identity_affine


def oblique(spacing: tuple[float, ...] = (2.0, 0.8, 0.7)) -> np.ndarray:
    """An affine turned by 20 degrees about two axes, far from the origin."""
    c, s = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine = identity_affine(spacing)
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = (-31, 70, 12)
    return affine


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


# --- where labels lie -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(33, 47, 9), (40, 8, 21), (16, 16, 16), (9, 10, 60)])
def test_labels_lie_on_the_grid_of_the_scan(shape: tuple[int, ...]) -> None:
    scan = noise(shape, affine=oblique())
    labels = segment(scan, random_model())
    assert labels.same_grid_as(scan)
    assert np.array_equal(labels.affine, scan.affine)
    assert len(np.unique(labels.array)) > 1


def test_every_voxel_is_labelled_by_its_own_value() -> None:
    scan = noise((33, 47, 9))
    assert np.array_equal(segment(scan, bands_model()).array, scan.array > 100)


@pytest.mark.parametrize("shift", [(3, 0, 0), (0, 5, 0), (1, 2, 4)])
def test_a_shifted_scan_gives_shifted_labels(shift: tuple[int, ...]) -> None:
    whole = noise((28, 28, 28))
    a, b = (tuple(slice(o, o + 20) for o in offset) for offset in ((4, 4, 4), np.add((4, 4, 4), shift)))
    model = bands_model()
    first, second = (segment(whole.derive(array=whole.array[box]), model).array for box in (a, b))
    common = tuple(slice(s, 20) for s in shift)
    assert np.array_equal(first[common], second[tuple(slice(0, 20 - s) for s in shift)])


def test_a_shifted_affine_moves_the_labels_and_changes_none() -> None:
    scan = noise((20, 20, 20))
    affine = scan.affine.copy()
    affine[:3, 3] += (100, -50, 7)
    model = random_model()
    here, there = segment(scan, model), segment(scan.derive(affine=affine), model)
    assert np.array_equal(here.array, there.array)
    assert np.array_equal(there.affine, affine)


def test_one_brain_stored_in_any_of_48_orders_gets_the_same_labels(tmp_path: Path) -> None:
    model = random_model(classes=3)
    array = np.random.default_rng(5).normal(0, 300, (17, 14, 12)).astype(np.float32)
    upright = nib.Nifti1Image(array, np.array([[1.1, 0, 0, -20], [0, 0.9, 0, 10], [0, 0, 1.3, 5], [0, 0, 0, 1]]))
    expected: LabelMap | None = None
    for axes, flips in product(permutations(range(3)), product((1, -1), repeat=3)):
        stored = upright.as_reoriented(np.array(list(zip(axes, flips, strict=True)), dtype=float))
        nib.save(stored, tmp_path / "brain.nii")
        labels = segment(tmp_path / "brain.nii", model)
        expected = expected or labels
        assert np.array_equal(labels.array, expected.array)
        assert labels.same_grid_as(expected)
        ganseg.write(tmp_path / "seg.nii", labels)
        back = nib.load(tmp_path / "seg.nii")
        assert np.allclose(back.affine, stored.affine, atol=1e-5)
        assert np.array_equal(nib.as_closest_canonical(back).dataobj, np.transpose(expected.array))
    assert set(np.unique(expected.array)) == {0, 1, 2, 3}


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (0.5, 0.6, 0.7), (2.0, 2.0, 2.0)])
def test_another_spacing_is_resampled_there_and_back(spacing: tuple[float, ...]) -> None:
    scan = ball(tuple(round(48 / s) for s in spacing), 16, oblique(spacing))
    labels = segment(scan, bands_model(spacing=(1.5, 1.5, 1.5)))
    assert labels.shape == scan.shape
    assert np.array_equal(labels.affine, scan.affine)
    assert dice(labels.array > 0, scan.array > 100) > 0.97
    inside = scan.array > 100
    centre, found = (scan.to_mm(np.argwhere(m).mean(0)) for m in (inside, labels.array > 0))
    assert np.abs(centre - found).max() < 0.1


@pytest.mark.parametrize("shape", [(8, 8, 8), (8, 9, 100), (15, 31, 8)])
def test_a_scan_smaller_than_a_patch_is_padded_and_cut_back(shape: tuple[int, ...]) -> None:
    scan = noise(shape)
    made = segment(scan, random_model(patch=(64, 64, 64)))
    assert made.shape == shape
    assert np.array_equal(segment(scan, bands_model(patch=(64, 64, 64))).array, scan.array > 100)


@pytest.mark.parametrize("dtype", [np.int16, ">i2", np.uint16, np.float64, ">f4", np.int64])
def test_the_type_a_scan_is_stored_in_changes_nothing(dtype: Any) -> None:
    array = np.random.default_rng(0).integers(0, 1000, (16, 17, 18))
    expected = segment(Volume(array=array.astype(np.float32)), random_model()).array
    assert np.array_equal(segment(Volume(array=array.astype(dtype)), random_model()).array, expected)


# --- slices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intensity", [HU, Z_SCORE])
def test_a_2d_model_on_a_volume_is_that_model_on_each_slice(intensity: Any) -> None:
    model = random_model(2, preprocessing=intensity, postprocessing=Postprocessing((1,)))
    scan = noise((4, 20, 23), affine=oblique())
    whole = segment(scan, model)
    assert whole.same_grid_as(scan)
    for z in range(4):
        assert np.array_equal(whole.array[z], thin(scan, model, z))


def thin(scan: Volume, model: Model, z: int) -> np.ndarray:
    """Labels of one slice, segmented as a volume that is one slice thick."""
    one = Volume(array=scan.array[z : z + 1], affine=scan.affine)
    return segment(one, model).array[0]


def test_a_2d_image_gets_2d_labels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(0, 200, (30, 20)).astype(np.float32)
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "slice.nii")
    labels = segment(tmp_path / "slice.nii", bands_model(2))
    assert labels.shape == (20, 30)
    assert np.array_equal(labels.array, (array > 100).T)


def test_an_empty_slice_of_a_volume_stays_empty_with_a_2d_model() -> None:
    scan = noise((3, 16, 16))
    array = scan.array.copy()
    array[1] = 500
    model = bands_model(2)
    assert not segment(scan.derive(array=array), model).array[1].any()
    assert segment(scan, model).array[1].any()


@pytest.mark.parametrize("index", [0, 7, 13, 39])
@pytest.mark.parametrize("spacing", [1.0, 2.5])
def test_one_slice_is_that_slice_of_the_whole(index: int, spacing: float) -> None:
    model = random_model(spacing=(spacing, 1.0, 1.0), preprocessing=Z_SCORE)
    scan = noise((40, 20, 20))
    whole, one = segment(scan, model), segment(scan, model, slice_index=index)
    assert np.array_equal(one.array[index], whole.array[index])
    assert whole.array.any()
    assert not np.delete(one.array, index, axis=0).any()


def test_one_slice_costs_only_the_tiles_it_lies_in() -> None:
    model, scan = bands_model(), noise((80, 16, 16))
    segment(scan, model)
    all_tiles = model.network.calls
    segment(scan, model, slice_index=40)
    assert 0 < model.network.calls - all_tiles < all_tiles / 3


def test_a_2d_model_computes_only_the_slice_that_is_wanted() -> None:
    model, scan = bands_model(2), noise((9, 16, 16))
    labels = segment(scan, model, slice_index=4)
    assert model.network.calls == 1
    assert np.array_equal(labels.array[4], scan.array[4] > 100)
    assert not np.delete(labels.array, 4, axis=0).any()


@pytest.mark.parametrize("index", [-1, 20, 10**9])
def test_a_slice_that_is_not_there_is_refused(index: int) -> None:
    with pytest.raises(UsageError, match=rf"Slice {index} lies outside the image or region \(0 to 19\)"):
        segment(noise((20, 20, 20)), bands_model(), slice_index=index)


def test_a_slice_of_a_2d_image_is_refused() -> None:
    with pytest.raises(UsageError, match="This image is a single slice; leave the slice index out"):
        segment(noise((20, 20)), bands_model(2), slice_index=0)


# --- regions ----------------------------------------------------------------------------------------------------------


def test_a_region_keeps_labels_inside_and_nothing_outside() -> None:
    scan, box = noise((30, 30, 30), affine=oblique()), (slice(4, 20), slice(10, 29), slice(0, 12))
    labels = segment(scan, bands_model(spacing=scan.spacing_mm), region=box)
    inside = np.zeros(scan.shape, bool)
    inside[box] = True
    assert np.array_equal(labels.array > 0, (scan.array > 100) & inside)
    assert labels.same_grid_as(scan)


def test_a_region_is_the_scan_cut_to_it() -> None:
    scan, box = noise((30, 30, 30)), (slice(4, 20), slice(10, 29), slice(0, 12))
    model = random_model(preprocessing=Z_SCORE)
    cut = segment(Volume(array=scan.array[box]), model)
    assert np.array_equal(segment(scan, model, region=box).array[box], cut.array)


def test_open_and_negative_ends_of_a_region_count_as_in_python() -> None:
    scan = noise((30, 30, 30))
    open_ended = segment(scan, bands_model(), region=(slice(None), slice(-12, None), slice(None, 99)))
    assert np.array_equal(open_ended.array[:, 18:] > 0, scan.array[:, 18:] > 100)
    assert not open_ended.array[:, :18].any()
    assert open_ended.provenance["region_voxels"] == [[0, 30], [18, 30], [0, 30]]


def test_a_slice_of_a_region() -> None:
    scan, box = noise((30, 30, 30)), (slice(4, 20), slice(10, 29), slice(0, 12))
    model = random_model()
    one = segment(scan, model, region=box, slice_index=11)
    assert np.array_equal(one.array[11], segment(scan, model, region=box).array[11])
    assert not np.delete(one.array, 11, axis=0).any()
    with pytest.raises(UsageError, match=r"Slice 3 lies outside the image or region \(4 to 19\)"):
        segment(scan, model, region=box, slice_index=3)


@pytest.mark.parametrize("region", [[slice(0, 9)] * 2, [slice(0, 9)] * 4])
def test_a_region_of_other_dimensions_is_refused(region: Any) -> None:
    with pytest.raises(UsageError, match=f"The region has {len(region)} ranges; this image has 3 axes, 20 x 20 x 20"):
        segment(noise((20, 20, 20)), bands_model(), region=region)


def test_a_region_beside_the_scan_is_refused() -> None:
    with pytest.raises(GeometryError, match="The region lies outside the image"):
        segment(noise((20, 20, 20)), bands_model(), region=[slice(30, 40), slice(0, 20), slice(0, 20)])


def test_a_region_too_flat_for_a_3d_model_is_refused() -> None:
    with pytest.raises(UsageError, match="this image or region is 3 x 20 x 20"):
        segment(noise((20, 20, 20)), bands_model(), region=[slice(0, 3), slice(0, 20), slice(0, 20)])


# --- classes ----------------------------------------------------------------------------------------------------------


def test_three_hundred_classes_do_not_wrap() -> None:
    truth = np.random.default_rng(0).permutation(np.arange(8 * 8 * 60) % 301).reshape(8, 8, 60)
    wide = replace(HU, args={"low": 0.0, "high": 40_000.0, "mean": 0.0, "std": 100.0})
    labels = segment(Volume(array=100 * truth + 50), bands_model(3, 300, preprocessing=wide))
    assert labels.array.dtype == np.uint16
    assert np.array_equal(labels.array, truth)
    assert len(labels.classes) == 300


def test_values_names_and_colours_are_the_cards() -> None:
    classes = (CardClass(7, "Liver", "#112233"), CardClass(70_000, "Spleen", "#445566"))
    scan = noise((12, 12, 12))
    model = bands_model(3, 2)
    labels = segment(scan, replace(model, card=replace(model.card, classes=classes)))
    expected = np.select([scan.array >= 200, scan.array >= 100], [70_000, 7], 0)
    assert np.array_equal(labels.array, expected)
    assert [(c.value, c.name, c.colour) for c in labels.classes] == [
        (7, "Liver", "#112233"), (70_000, "Spleen", "#445566")
    ]  # fmt: skip


def test_only_the_largest_piece_stays_where_the_card_says_so() -> None:
    array = np.full((16, 20, 20), -1000, np.float32)
    array[2:8, 2:8, 2:8] = 500
    array[12:14, 12:14, 12:14] = 500
    scan = Volume(array=array)
    assert (segment(scan, bands_model()).array > 0).sum() == 6**3 + 2**3
    assert (segment(scan, bands_model(postprocessing=Postprocessing((1,)))).array > 0).sum() == 6**3


def test_of_a_slice_nothing_is_erased_since_the_largest_piece_may_lie_elsewhere() -> None:
    array = np.full((16, 20, 20), -1000, np.float32)
    array[2:8, 2:8, 2:8] = array[4, 12:14, 12:14] = 500
    model = bands_model(postprocessing=Postprocessing((1,)))
    assert (segment(Volume(array=array), model, slice_index=4).array[4] > 0).sum() == 6**2 + 2**2


def test_channels_go_in_together(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(0, 200, (12, 13, 14, 2)).astype(np.float32)
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "two.nii")
    labels = segment(tmp_path / "two.nii", bands_model(3, channels=("T1", "T2")))
    assert np.array_equal(labels.array, array[..., 0].T > 100)


# --- what is not right is said ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("intensity", [HU, Z_SCORE])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_constant_image_gives_empty_labels_and_the_note(intensity: Any, dims: int) -> None:
    scan = Volume(array=np.full((12, 12, 12), 500, np.int16))
    labels = segment(scan, bands_model(dims, preprocessing=intensity))
    assert not labels.array.any()
    assert labels.same_grid_as(scan)
    assert labels.notes == ("The image has no contrast (every voxel is 500); nothing can be found in it.",)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("is_file", [True, False])
def test_one_voxel_of_nan_far_from_the_organ_leaves_the_mask(tmp_path: Path, bad: float, is_file: bool) -> None:
    scan = ball((24, 24, 24), 8)
    model = random_model(preprocessing=Z_SCORE)
    expected = segment(scan, model).array
    array = scan.array.copy()
    array[0, 0, 0] = bad
    broken: Any = Volume(array=array)
    if is_file:
        broken = tmp_path / "broken.nii"
        nib.save(nib.Nifti1Image(array.T, np.eye(4)), broken)
    labels = segment(broken, model)
    assert dice(labels.array == expected, np.ones_like(expected, bool)) >= 0.999
    assert any("1 voxel is NaN or infinite; replaced by -1000" in note for note in labels.notes)
    assert labels.provenance["assumptions"] == list(labels.notes)


def test_an_image_of_nan_is_refused() -> None:
    with pytest.raises(FileError, match="this is no scan"):
        segment(Volume(array=np.full((9, 9, 9), np.nan, np.float32)), bands_model())


@pytest.fixture
def odd() -> tuple[Volume, Model]:
    """An MRI given to a CT model of a small crop."""
    view = FieldOfView("a crop of one organ", (5.0,) * 3, (9.0,) * 3)
    scan = noise((16, 16, 16)).derive(array=np.abs(noise((16, 16, 16)).array))
    return scan, bands_model(modality="CT", field_of_view=view)


def test_doubts_are_notes_on_the_result(odd: tuple[Volume, Model]) -> None:
    notes = segment(*odd).notes
    assert len(notes) == 2
    assert "looks like an MRI" in notes[0]
    assert "knows a crop of one organ" in notes[1]


def test_strict_refuses_what_is_doubtful_before_computing(odd: tuple[Volume, Model]) -> None:
    with pytest.raises(DomainError, match=r"looks like an MRI.*knows a crop of one organ"):
        segment(*odd, strict=True)
    assert odd[1].network.calls == 0


def test_strict_lets_through_what_the_model_knows() -> None:
    assert segment(noise((16, 16, 16)), bands_model(), strict=True).notes == ()


def test_the_volumes_own_notes_stay() -> None:
    scan = noise((16, 16, 16), notes=("orientation unknown: left and right may be swapped.",))
    assert segment(scan, bands_model()).notes == scan.notes


def test_a_slice_at_the_end_of_a_scan_is_no_smaller_a_field_of_view() -> None:
    view = FieldOfView("anything", (30.0,) * 3, (60.0,) * 3)
    assert segment(noise((40, 40, 40)), bands_model(field_of_view=view), slice_index=0, strict=True).notes == ()


@pytest.mark.parametrize(
    ("scan", "model", "message"),
    [
        (
            noise((2, 12, 12, 12), has_channels=True),
            bands_model(),
            r"expects 1 channel\(s\) \(image\); this image has 2",
        ),
        (
            noise((12, 12, 12)),
            bands_model(channels=("T1", "T2")),
            r"expects 2 channel\(s\) \(T1, T2\); this image has 1",
        ),
        (noise((12, 12)), bands_model(3), "is a 3D model .* this image or region is 12 x 12. Choose a 2D model"),
        (noise((5, 12, 12)), bands_model(3), "is a 3D model .* this image or region is 5 x 12 x 12"),
        (Volume(array=np.ones((12, 12, 12), np.complex64)), bands_model(), "holds complex64"),
    ],
)
def test_what_does_not_fit_is_refused_before_computing(scan: Volume, model: Model, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        segment(scan, model)
    assert model.network.calls == 0


def test_unknown_models_files_and_devices_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match='no model "nothing"'):
        segment(noise((12, 12, 12)), "nothing")
    with pytest.raises(FileError, match=r"Cannot open none\.nii: missing file"):
        segment(tmp_path / "none.nii", bands_model())
    with pytest.raises(UsageError, match='no device "cuda" here'):
        segment(noise((12, 12, 12)), bands_model(), device="cuda")


@pytest.mark.parametrize("overlap", [-0.1, 1.0, 2.0])
def test_an_overlap_that_is_no_share_is_refused(overlap: float) -> None:
    with pytest.raises(UsageError, match="The overlap of tiles is a share from 0 to below 1"):
        segment(noise((12, 12, 12)), bands_model(), overlap=overlap)


# --- faults and ends --------------------------------------------------------------------------------------------------


class Fails(nn.Module):
    """A network that fails at its third tile."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error, self.calls, self.seen = error, 0, None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 3:
            self.seen = weakref.ref(x)
            raise self.error
        return torch.cat([x, -x], 1)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("shapes differ"), "failed inside torch: shapes differ. Try the CPU as device"),
        (NotImplementedError("no kernel"), "failed inside torch: no kernel"),
    ],
)
def test_a_fault_inside_the_network_is_one_error_in_words(error: Exception, message: str) -> None:
    network = Fails(error)
    with pytest.raises(ComputeError, match=message) as caught:
        segment(noise((40, 40, 40)), Model(make_card(), network, ""))
    assert not isinstance(caught.value, RuntimeError)
    assert caught.value.__cause__ is error


def test_after_a_fault_nothing_holds_the_tiles_and_the_next_run_works() -> None:
    network = Fails(RuntimeError("shapes differ"))
    model = Model(make_card(), network, "")
    with pytest.raises(ComputeError) as caught:
        segment(noise((40, 40, 40)), model)
    gc.collect()
    assert caught.value.__cause__ is not None
    assert network.seen() is None
    assert segment(noise((40, 40, 40)), model).array.any()


def test_progress_counts_the_tiles() -> None:
    run = segmentation(noise((40, 20, 20)), bands_model())
    seen = [(p.done, p.total, p.doing) for p in run]
    assert seen[0] == (0, 0, "loading")
    counted = [done for done, _, doing in seen if doing == "segmenting"]
    assert counted == list(range(1, seen[-1][1] + 1))
    assert len(counted) == 4
    assert seen[1][2].startswith("loading; it needs about ")


@pytest.mark.parametrize("dims", [2, 3])
def test_cancel_ends_between_tiles_and_leaves_nothing(dims: int) -> None:
    model = bands_model(dims)
    run = segmentation(noise((40, 40, 40)), model)
    for progress in run:
        if progress.done == 3:
            run.cancel()
            break
    calls = model.network.calls
    with pytest.raises(Cancelled):
        list(run)
    with pytest.raises(Cancelled):
        _ = run.result
    assert model.network.calls <= calls + 1


def test_the_same_run_twice_gives_the_same_labels() -> None:
    model, scan = random_model(), noise((20, 30, 20))
    assert np.array_equal(segment(scan, model).array, segment(scan, model).array)


def test_segmenting_leaves_scan_model_and_random_numbers_as_they_were() -> None:
    model, scan = random_model(), noise((20, 20, 20))
    before, state = scan.array.copy(), torch.get_rng_state()
    weights = {k: v.clone() for k, v in model.network.state_dict().items()}
    segment(scan, model)
    assert np.array_equal(scan.array, before)
    assert all(torch.equal(v, weights[k]) for k, v in model.network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


# --- provenance -------------------------------------------------------------------------------------------------------


def test_a_result_says_how_it_was_made(tmp_path: Path) -> None:
    path = saved(tmp_path, classes=2)
    image = nib.Nifti1Image(noise((16, 17, 18)).array.T, np.eye(4))
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "scan.nii.gz")
    labels = segment(tmp_path / "scan.nii.gz", path, region=[slice(0, 9), slice(0, 17), slice(2, None)], device="cpu")
    made = dict(labels.provenance)
    assert json.loads(json.dumps(made)) == made
    sha256, versions = made.pop("model_sha256"), made.pop("versions")
    assert len(sha256) == 64
    assert set(versions) == {"torch", "monai", "nibabel", "numpy"}
    assert made.pop("software").startswith("napari-ganseg ")
    assert made.pop("python").startswith("3.")
    assert made == {
        "model": "tiny", "source": "scan.nii.gz", "device": "cpu", "overlap": 0.5, "strict": False, "slice_index": None,
        "region_voxels": [[0, 9], [0, 17], [2, 18]], "spacing_mm": [1.0, 1.0, 1.0], "assumptions": [],
        "memory": "as planned", "precision": name_of("auto", torch.device("cpu")),
    }  # fmt: skip


def test_numpy_numbers_as_settings_are_json_too() -> None:
    box = [slice(np.int64(0), np.int64(16))] * 3
    labels = segment(noise((16, 16, 16)), bands_model(), region=box, slice_index=np.int64(3))
    assert json.loads(json.dumps(dict(labels.provenance)))["slice_index"] == 3


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().device = "cpu"  # type: ignore[misc]


def test_every_fault_is_a_ganseg_error() -> None:
    with pytest.raises(GansegError):
        segment(noise((3, 3, 3)), bands_model())


@pytest.fixture
def real(data_dir: Path) -> Path:
    """The first hippocampus MRI."""
    return sorted((data_dir / "hippocampus_mri" / "images").glob("*.nii.gz"))[0]


def test_the_shipped_model_finds_a_real_hippocampus(real: Path) -> None:
    truth = real.parents[1] / "labels" / real.name
    labels = segment(real, "hippocampus-mri", strict=True)
    assert ganseg.evaluate(labels, truth).mean_dice > 0.8
