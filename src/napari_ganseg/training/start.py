"""Starting from another model: what fits is taken over, first and last layer are adapted, the rest is said."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_ganseg.errors import UsageError
from napari_ganseg.models import Card, Model
from napari_ganseg.networks import outline, weights_of
from napari_ganseg.training.partial import letters


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a parent's weights.

    Attributes:
        whole: tensors taken over as they are.
        classes: classes, by the child's names, whose output came along; the others begin afresh.
        fresh: names of tensors that begin afresh as a whole.
    """

    whole: int
    classes: tuple[str, ...]
    fresh: tuple[str, ...]

    def __str__(self) -> str:
        classes = ", ".join(self.classes) or "none"
        fresh = f"; {len(self.fresh)} tensors begin afresh" if self.fresh else ""
        return f"{self.whole} tensors taken over; classes that came along: {classes}{fresh}"


def start_from(network: nn.Module, card: Card, parent: Model) -> Kept:
    """Fill a fresh network with a parent's weights, in place.

    Classes are matched by name, background by itself. Other input channels start from the mean of the
    parent's, scaled so that the first layer's response keeps its size (timm's rule).

    Raises:
        UsageError: the networks differ in kind or size.
    """
    check_alike(card, parent.card)
    old, rows = weights_of(parent.network), shared_rows(card, parent.card)
    outputs, inputs = dependent(card, out_channels=1), dependent(card, in_channels=1)
    is_same = rows == {i: i for i in range(card.out_channels)} and card.out_channels == parent.card.out_channels
    fresh, whole = [], 0
    with torch.no_grad():
        for name, tensor in weights_of(network).items():
            if tensor.shape == old[name].shape and (is_same or name not in outputs):
                tensor.copy_(old[name])
                whole += 1
            elif name in outputs and tensor.shape[1:] == old[name].shape[1:]:
                tensor[list(rows)] = old[name][list(rows.values())].to(tensor)
            elif name in inputs and tensor.shape[2:] == old[name].shape[2:]:
                tensor.copy_(averaged(old[name], tensor))
            else:
                fresh.append(name)
    return Kept(whole, tuple(card.classes[i - 1].name for i in rows if i), tuple(fresh))


def check_alike(card: Card, parent: Card) -> None:
    """Raise UsageError unless the networks are the same but for their ends."""
    if (parent.arch, parent.dims) != (card.arch, card.dims):
        raise UsageError(
            f"{parent.name} is a {parent.dims}D {parent.arch.name} of {parent.arch.features}, the model to train a "
            f"{card.dims}D {card.arch.name} of {card.arch.features}. Leave out the configuration to take the parent's."
        )


def shared_rows(card: Card, parent: Card) -> dict[int, int]:
    """Output channel of the child -> that of the parent, for background and the classes both have."""
    theirs = {letters(c.name): i for i, c in enumerate(parent.classes, start=1)}
    shared = {i: theirs.get(letters(c.name)) for i, c in enumerate(card.classes, start=1)}
    return {0: 0} | {i: j for i, j in shared.items() if j is not None}


def dependent(card: Card, *, in_channels: int = 0, out_channels: int = 0) -> set[str]:
    """Names of the tensors whose shape depends on the number of inputs, or of outputs: they change with one more."""
    sizes = {"in_channels": len(card.channels), "out_channels": card.out_channels}
    more = {"in_channels": sizes["in_channels"] + in_channels, "out_channels": sizes["out_channels"] + out_channels}
    one, other = (weights_of(outline(card.arch, dims=card.dims, **s)) for s in (sizes, more))
    return {name for name in one if one[name].shape != other[name].shape}


def averaged(old: Tensor, new: Tensor) -> Tensor:
    """The parent's first layer for another number of input channels."""
    return old.mean(1, keepdim=True).expand(new.shape) * (old.shape[1] / new.shape[1])
