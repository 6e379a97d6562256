"""Small cards, networks, volumes and cases that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import psutil
import torch
from torch import Tensor, nn

from napari_ganseg.models import Card, Model, save_model
from napari_ganseg.models.card import CardClass, FieldOfView, Preprocessing
from napari_ganseg.networks import Arch, build_generator
from napari_ganseg.training import Case, TrainConfig
from napari_ganseg.training.cases import make_case
from napari_ganseg.training.config import Augmentation
from napari_ganseg.volume import LabelClass, LabelMap, Volume, identity_affine

COLOURS = ("#e6550d", "#3182bd", "#31a354")
HU = Preprocessing("ct_window", {"low": -1000.0, "high": 1000.0, "mean": 0.0, "std": 100.0})
Z_SCORE = Preprocessing("z_score", {})


def make_card(dims: Any = 3, classes: int = 1, **changes: Any) -> Card:
    """A card for a small network; extents from 1 mm to 1 m raise no doubt."""
    names = [CardClass(i, f"organ {i}", COLOURS[i % 3]) for i in range(1, classes + 1)]
    given: dict[str, Any] = {
        "name": "tiny",
        "summary": "for tests",
        "modality": "any",
        "arch": Arch("DynUNet", (4, 8, 8), ((2,) * dims,) * 2),
        "dims": dims,
        "classes": tuple(names),
        "channels": ("image",),
        "preprocessing": HU,
        "spacing": (1.0,) * dims,
        "patch": (16,) * dims,
        "field_of_view": FieldOfView("anything", (1.0,) * dims, (1000.0,) * dims),
        "licence": "BSD-3-Clause",
    }
    return Card(**given | changes)


class Bands(nn.Module):
    """Class k where the prepared voxel lies between k and k + 1, the ends open: a network whose answer one knows."""

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        self.centres, self.calls = torch.arange(classes + 1) + 0.5, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        centres = self.centres.to(x).reshape(1, -1, *[1] * (x.dim() - 2))
        return 8 * (2 * centres * x[:, :1] - centres**2)  # largest where |x - centre| is smallest


def bands_model(dims: int = 3, classes: int = 1, **changes: Any) -> Model:
    """A model that labels voxels above 100 as class 1, above 200 as class 2, and so on."""
    return Model(make_card(dims, classes, **changes), Bands(classes), "0" * 64)


def network_for(card: Card, seed: int = 0) -> nn.Module:
    """The card's own network with random weights, made lively so that it labels some of everything."""
    network = build_generator(
        card.arch, dims=card.dims, in_channels=len(card.channels), out_channels=card.out_channels, seed=seed
    )
    return network.eval()


def random_model(dims: int = 3, classes: int = 2, seed: int = 0, **changes: Any) -> Model:
    """A model with random weights."""
    card = make_card(dims, classes, **changes)
    return Model(card, network_for(card, seed), "")


def saved(folder: Path, dims: int = 3, seed: int = 0, **changes: Any) -> Path:
    """A model file with random weights."""
    card = make_card(dims, **changes)
    path = folder / f"{card.name}.ganseg.safetensors"
    save_model(path, card, network_for(card, seed))
    return path


def ball(shape: tuple[int, ...], radius_mm: float, affine: np.ndarray | None = None) -> Volume:
    """A soft ball of 1000 in the middle of air at -1000."""
    blank = Volume(array=np.zeros(shape, np.float32), affine=identity_affine() if affine is None else affine)
    places = blank.to_mm(np.stack(np.indices(shape), axis=-1))
    centre = blank.to_mm([(n - 1) / 2 for n in shape])
    distance = np.linalg.norm(places - centre, axis=-1)
    return blank.derive(array=np.clip(500 * (radius_mm - distance), -1000, 1000).astype(np.float32))


def noise(shape: tuple[int, ...], seed: int = 0, **fields: Any) -> Volume:
    """Noise around 0, wide enough for every class of `bands_model`."""
    array = np.random.default_rng(seed).normal(0, 250, shape).astype(np.float32)
    return Volume(array=array, **fields)


def blob_case(name: str = "a.nii", shape: tuple[int, ...] = (20, 22, 24), seed: int = 0) -> Case:
    """An image in which a bright box is class 1."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 10, shape).astype(np.float32)
    labels = np.zeros(shape, np.uint8)
    corner = [int(rng.integers(2, n // 3)) for n in shape]
    labels[tuple(slice(c, c + n // 2) for c, n in zip(corner, shape, strict=True))] = 1
    image[labels == 1] += 100
    classes = (LabelClass(1, "Box", "#e6550d"),)
    return make_case(name, Volume(array=image), LabelMap(array=labels, classes=classes))


def tiny_config(dims: Any = 3, **changes: Any) -> TrainConfig:
    """A configuration whose every step takes milliseconds and uses every kind of augmentation."""
    card = make_card(dims, preprocessing=Z_SCORE, name="box")
    varied = Augmentation(affine=0.5, flip_axes=(0,), noise=0.5, smooth=0.5, contrast=0.5, bias=0.5, low_resolution=0.5)
    given: dict[str, Any] = {"card": card, "steps": 6, "validate_every": 2, "seed": 11, "augmentation": varied}
    return TrainConfig(**given | changes)


def blob_cases(dims: int = 3) -> list[Case]:
    """Three cases to learn from; no name falls into the validation fold, so the last case is moved over."""
    return [blob_case(f"{name}.nii", (16, 18, 20)[:dims], seed) for seed, name in enumerate("bde")]


def kill_trainings(place: Path) -> None:
    """End every process that works below a folder: trainings outlive whoever started them, a failed test too."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(place) in word for word in process.info["cmdline"] or ()) and process.pid != os.getpid():
            process.kill()


def write_scan(path: Path, shape: tuple[int, ...] = (16, 17, 18), affine: np.ndarray | None = None) -> Path:
    """A file of noise."""
    array = np.random.default_rng(0).normal(0, 200, shape).astype(np.float32)
    image = nib.Nifti1Image(array, np.diag([-1.0, 1, 2, 1]) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path
