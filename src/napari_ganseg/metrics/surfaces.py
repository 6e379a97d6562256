"""Distances between two surfaces in true millimetres: HD95, HD, ASSD and surface Dice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from napari_ganseg.metrics.ruler import Floats, Indices, Mask, Ruler

TIE_MM = 1e-5  # a distance of the tolerance itself is within it, also after rounding
REACH = 8  # longest steps that the tree is searched first
VOXELS_PER_POINT = 16  # the transform takes one voxel in the time that the tree takes 1/16 point


@dataclass(frozen=True, slots=True)
class Distances:
    """What the distances between two surfaces come to."""

    nsd: float
    hd95_mm: float
    hd_mm: float
    assd_mm: float


def compare_surfaces(predicted: Mask, true: Mask, ruler: Ruler) -> Distances:
    """Distances between the surfaces of two masks that both hold something, in a box around both.

    A surface is the set of a mask's voxels of which a face's neighbour (6 in a volume, 4 in a slice) is outside the
    mask or the image, as in MONAI's `get_mask_edges`. HD95 is the larger of the two directed 95th percentiles; HD the
    larger maximum; ASSD the mean and NSD the share within the tolerance of both directions' distances together, as
    MONAI has them. Every surface voxel counts once, however large its face.
    """
    surface, true_surface = surface_of(predicted, ruler), surface_of(true, ruler)
    there, back = directed_mm(surface, true_surface, ruler), directed_mm(true_surface, surface, ruler)
    both = np.concatenate([there, back])
    return Distances(
        nsd=float(np.mean(both <= ruler.tolerance_mm + TIE_MM)),
        hd95_mm=float(max(np.percentile(there, 95), np.percentile(back, 95))),
        hd_mm=float(both.max()),
        assd_mm=float(both.mean()),
    )


def surface_of(mask: Mask, ruler: Ruler) -> Mask:
    """Voxels with a neighbour outside; beyond the array's edge everything is outside."""
    inner = mask.copy()
    for axis in ruler.axes:
        kept, along = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        kept[:-1] &= along[1:]
        kept[1:] &= along[:-1]
        kept[[0, -1]] = False
    return mask & ~inner


def directed_mm(start: Mask, goal: Mask, ruler: Ruler) -> Floats:
    """Distance of every voxel of `start` to the nearest of `goal`, in no order."""
    apart = np.argwhere(start & ~goal)
    shared = np.zeros(np.count_nonzero(start) - len(apart))
    return np.concatenate([shared, nearest_mm(apart, goal, ruler)])


def nearest_mm(points: Indices, goal: Mask, ruler: Ruler) -> Floats:
    """Distance of every point to the nearest voxel of `goal`, by whichever of two exact ways is quicker.

    A tree of the goal's voxels is quick where they are few in their box and near. Far from a surface it comes down to
    every point against every voxel; the distance transform does not, but is right only for axes at right angles.
    """
    voxels = np.argwhere(goal)
    if ruler.is_straight and (len(points) + len(voxels)) * VOXELS_PER_POINT > goal.size:
        return by_transform(points, goal, ruler)
    tree, places = KDTree(ruler.mm(voxels)), ruler.mm(points)
    near, _ = tree.query(places, distance_upper_bound=REACH * np.abs(ruler.steps_mm).max())
    far = np.isinf(near)
    if ruler.is_straight and np.count_nonzero(far) * len(voxels) > VOXELS_PER_POINT * goal.size:
        near[far] = by_transform(points[far], goal, ruler)
    elif far.any():
        near[far], _ = tree.query(places[far])
    return np.asarray(near)


def by_transform(points: Indices, goal: Mask, ruler: Ruler) -> Floats:
    """The same from the nearest goal of every voxel of the box."""
    spacing = np.abs(np.diag(ruler.steps_mm))
    nearest = ndimage.distance_transform_edt(~goal, sampling=spacing, return_distances=False, return_indices=True)
    return np.asarray(np.linalg.norm(ruler.mm(points - nearest[(slice(None), *points.T)].T), axis=1))
