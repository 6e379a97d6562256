"""The prediction on the slice a person looks at, asked for and answered through files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import bands_model, blob_case

from napari_ganseg.inference import segment
from napari_ganseg.models import Model
from napari_ganseg.run import Controls
from napari_ganseg.training.files import SHOWN
from napari_ganseg.training.preview import Wanted, ask_preview, read_preview
from napari_ganseg.training.viewed import Viewed


def with_place(model: Model) -> Model:
    """Say by a parameter where the network is, as real ones do."""
    model.network.register_parameter("unused", torch.nn.Parameter(torch.zeros(1)))
    return model


@pytest.mark.parametrize("dims", [2, 3])
def test_the_slice_that_was_asked_for_is_answered_as_a_user_would_get_it(tmp_path: Path, dims: int) -> None:
    case, model = blob_case("a.nii", (20, 22, 24)[:dims]), with_place(bands_model(dims))
    ask_preview(tmp_path, Wanted("a.nii", 7 if dims == 3 else 0))
    Viewed(tmp_path, [case]).answer(model.network, model.card, 12, Controls())
    shown = read_preview(tmp_path)
    assert shown is not None
    assert (shown.wanted, shown.step) == (Wanted("a.nii", 7 if dims == 3 else 0), 12)
    whole = segment(case.image, model).array
    assert np.array_equal(shown.labels, whole[7] if dims == 3 else whole)


@pytest.mark.parametrize("wanted", [Wanted("other.nii", 0), Wanted("a.nii", 999), None])
def test_what_nobody_can_answer_is_passed_over(tmp_path: Path, wanted: Wanted | None) -> None:
    model = with_place(bands_model())
    if wanted:
        ask_preview(tmp_path, wanted)
    Viewed(tmp_path, [blob_case("a.nii")]).answer(model.network, model.card, 1, Controls())
    assert read_preview(tmp_path) is None


def test_previews_leave_the_training_its_time(tmp_path: Path) -> None:
    model, viewed = with_place(bands_model()), Viewed(tmp_path, [blob_case("a.nii")])
    ask_preview(tmp_path, Wanted("a.nii", 1))
    for step in (1, 2, 3):
        viewed.answer(model.network, model.card, step, Controls())
    shown = read_preview(tmp_path)
    assert shown is not None
    assert shown.step == 1


def test_a_broken_answer_is_none(tmp_path: Path) -> None:
    (tmp_path / SHOWN).write_bytes(b"{}\nbroken")
    assert read_preview(tmp_path) is None
