"""Generators: the right shape out, bounded before they are built, seeded without side effects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ganseg.networks import Arch, build_generator, divisor, generator, weights_of

NAMES = ["UNet", "DynUNet", "SegResNet"]


def arch(name: str, dims: int, features: tuple[int, ...] = (8, 16, 32)) -> Arch:
    return Arch(name, features, ((2,) * dims,) * (len(features) - 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_logits_lie_on_the_grid_of_the_image(name: str, dims: int) -> None:
    network = build_generator(arch(name, dims), dims=dims, in_channels=2, out_channels=4).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, *(8, 12, 16)[:dims])).shape == (1, 4, *(8, 12, 16)[:dims])


@pytest.mark.parametrize("name", ["UNet", "DynUNet"])
def test_thick_slices_need_not_be_halved(name: str) -> None:
    anisotropic = Arch(name, (4, 8, 8), ((1, 2, 2), (2, 2, 2)))  # type: ignore[arg-type]
    network = build_generator(anisotropic, dims=3, in_channels=1, out_channels=2).eval()
    assert divisor(anisotropic) == (2, 4, 4)
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, 6, 8, 12)).shape == (1, 2, 6, 8, 12)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_makes_the_same_weights(name: str) -> None:
    first, second, third = (
        weights_of(build_generator(arch(name, 2), dims=2, in_channels=1, out_channels=2, seed=seed))
        for seed in (5, 5, 6)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], third[key]) for key in first)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_elses_random_numbers_are_touched(name: str) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    build_generator(arch(name, 2), dims=2, in_channels=1, out_channels=2, seed=7)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_too_many_parameters_are_counted_without_being_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    devices, make = [], generator.make

    def watched(*args: object) -> object:
        devices.append(torch.empty(0).device.type)
        return make(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(generator, "make", watched)
    with pytest.raises(ValueError, match=r"the network has 934,450,317 parameters; the limit is 500,000,000"):
        build_generator(Arch("UNet", (1024,) * 8, ((1, 1, 1),) * 7), dims=3, in_channels=1, out_channels=2)
    assert devices == ["meta"]


@pytest.mark.parametrize(
    ("name", "features", "strides", "message"),
    [
        ("UNet", (8, 16, 32), ((2, 2),), "3 levels need 2 strides, not 1"),
        ("UNet", (8,), (), "at least 2"),
        ("UNet", (8, 2048), ((2, 2),), "less than or equal to 1024"),
        ("UNet", (8, 16), ((5, 2),), "less than or equal to 4"),
        ("UNet", (8,) * 9, ((2, 2),) * 8, "at most 8"),
        ("os.system", (8, 16), ((2, 2),), "'UNet', 'DynUNet', 'SegResNet', 'ResNet18' or 'ResNet34'"),
    ],
)
def test_arguments_out_of_bounds_are_refused(name: str, features: object, strides: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arch(name, features, strides)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "dims", "message"),
    [
        (arch("UNet", 2), 3, "a 3D network needs 3 numbers per stride"),
        (Arch("SegResNet", (8, 16), ((1, 2),)), 2, "its strides are all 2"),
        (Arch("SegResNet", (8, 24), ((2, 2),)), 2, "doubles its features"),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused(made: Arch, dims: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_generator(made, dims=dims, in_channels=1, out_channels=2)
