"""Small NIfTI files, whole or broken on purpose."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

SHAPE = (8, 9, 10)
Make = Callable[..., Path]


@pytest.fixture
def ct() -> np.ndarray:
    """Voxels (i, j, k) of which no two are alike, so that a mistaken axis shows."""
    return np.random.default_rng(0).permutation(720).reshape(SHAPE).astype(np.int16) - 300


@pytest.fixture
def regions() -> np.ndarray:
    """Labels (i, j, k) of three classes without any symmetry."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:5, 2:8, 3:9], labels[2:4, 3:5, 4:6], labels[5:7, 1:4, 1:8] = 1, 2, 3
    return labels


@pytest.fixture
def affine() -> np.ndarray:
    """Upright, of three different voxel sizes."""
    return np.array([[0.7, 0, 0, -20], [0, 0.8, 0, 10], [0, 0, 2.5, 5], [0, 0, 0, 1.0]])


@pytest.fixture
def build(ct: np.ndarray, affine: np.ndarray) -> Callable[..., bytes]:
    """Bytes of a single NIfTI file; keywords set header fields after nibabel has written them."""

    def make(array: Any = None, affine: Any = affine, *, kind: Any = nib.Nifti1Image, order: str = "<", **fields: Any):
        array = ct if array is None else np.asarray(array)
        header = kind.header_class(endianness=order)
        header.set_data_dtype(array.dtype)
        header.set_xyzt_units("mm")
        image = kind(array, affine, header)
        if affine is not None:
            image.set_qform(affine, 0)
            image.set_sform(affine, 1)
        return patched(image.to_bytes(), image.header, fields)

    return make


def patched(content: bytes, header: Any, fields: dict[str, Any]) -> bytes:
    """The file's bytes with other values in its header."""
    size = header.sizeof_hdr
    new = type(header)(content[:size], endianness=header.endianness, check=False)
    for name, value in fields.items():
        new[name] = value
    return new.binaryblock + content[size:]


@pytest.fixture
def make(tmp_path: Path, build: Callable[..., bytes]) -> Make:
    """Write what `build` makes, packed where the name says so."""

    def make(name: str = "scan.nii", *args: Any, **fields: Any) -> Path:
        path, content = tmp_path / name, build(*args, **fields)
        path.write_bytes(gzip.compress(content, mtime=0) if name.lower().endswith(".gz") else content)
        return path

    return make


@pytest.fixture
def make_pair(tmp_path: Path, ct: np.ndarray) -> Make:
    """Write a `.hdr` with its `.img`; without magic it is Analyze."""

    def make(name: str = "scan.hdr", *, order: str = "<", **fields: Any) -> Path:
        header = nib.Nifti1Pair.header_class(endianness=order)
        header.set_data_shape(ct.shape)
        header.set_data_dtype(ct.dtype)
        header.set_xyzt_units("mm")
        header.set_sform(np.diag([1, 2, 3, 1]), 1)
        for field, value in fields.items():
            header[field] = value
        path = tmp_path / name
        path.write_bytes(header.binaryblock)
        path.with_suffix(".img").write_bytes(ct.astype(ct.dtype.newbyteorder(order)).tobytes(order="F"))
        return path

    return make
