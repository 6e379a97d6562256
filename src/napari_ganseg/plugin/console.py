"""For napari's console: segment layers of the viewer in one call, and run long work while the viewer stays usable."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from napari.layers import Image, Labels
from napari.utils.notifications import show_warning

from napari_ganseg.errors import UsageError
from napari_ganseg.plugin.background import Background
from napari_ganseg.plugin.beside_mesa import load_triton_apart
from napari_ganseg.plugin.layers import LayerData, bare, labels_layer
from napari_ganseg.plugin.measuring import snapshot
from napari_ganseg.plugin.one_line import in_one_line
from napari_ganseg.plugin.preferences import preferred_device
from napari_ganseg.plugin.registry import placement_of
from napari_ganseg.plugin.results import add_result
from napari_ganseg.plugin.task import Identity, Task, make_run
from napari_ganseg.plugin.upright import watch
from napari_ganseg.run import Controls, Progress, Run
from napari_ganseg.volume import LabelMap

T = TypeVar("T")


@in_one_line
def in_background(viewer: Any, run: Run[T], title: str = "Console") -> Background[T]:
    """Run a Run behind the viewer, which stays usable; its progress is in napari's activity dock.

    A message says how it ended; a label map becomes a Labels layer in its place in the patient.

    Args:
        viewer: napari's `viewer`; it has one job at a time.
        run: what `segment_folder` and `inference.segmentation` give, not yet iterated.
        title: what the activity dock and messages call it.

    Returns:
        A handle with `cancel()`, `is_running` and, at the end, `result`.

    Raises:
        UsageError: the viewer is busy, or this is no Run.
    """
    if not isinstance(run, Run):
        raise UsageError(f"in_background wants a Run, as segment_folder(...) gives it, not a {type(run).__name__}.")
    return Background(viewer, run, title)


@in_one_line
def segment_layers(
    viewer: Any, model: str = "hippocampus-mri", *, layers: Sequence[Image] | None = None, background: bool = False,
    **settings: Any,
) -> list[Labels] | Background[list[Labels]]:  # fmt: skip
    """Segment image layers, each into a Labels layer of its own.

    Args:
        viewer: napari's `viewer`.
        model: a name that `list_models()` shows, or a model file.
        layers: which; by default the selected image layers, or all of them when none is selected.
        background: return at once, with the handle that `in_background` gives; its result are the layers.
        **settings: of `segment`: region, device, strict, overlap.

    Raises:
        UsageError: there is no image layer, or the viewer is busy.
    """
    load_triton_apart()
    viewer = bare(viewer)
    chosen = list(map(bare, layers if layers is not None else images_in(viewer)))
    if not chosen:
        raise UsageError("There is no image layer; open a scan first.")
    watch(viewer)
    options = {"device": preferred_device(), **settings}
    tasks = [Task(layer.data, placement_of(layer), model, options) for layer in chosen]
    before = [Identity.of(layer) for layer in chosen]
    run = Run(lambda controls: one_by_one(tasks, controls))
    if not background:
        return add_results(viewer, run.result, chosen, before)
    title = f"Segment {chosen[0].name}" if len(chosen) == 1 else f"Segment {len(chosen)} layers"
    return Background(viewer, run, title, show=lambda made: add_results(viewer, made, chosen, before))


@in_one_line
def label_map(viewer: Any, layer: Labels | str) -> LabelMap:
    """The labels of a layer as they are now, where they lie in the patient: to evaluate, measure or write.

    Args:
        viewer: napari's `viewer`; the labels' scan may be in it.
        layer: a Labels layer, or its name.

    Raises:
        UsageError: there is no such Labels layer, or it could be several scans'.
    """
    viewer = bare(viewer)
    found = [other for other in viewer.layers if bare(layer) in (other, other.name) and isinstance(other, Labels)]
    if not found:
        raise UsageError(f"There is no Labels layer {getattr(layer, 'name', layer)!r} in this viewer.")
    return snapshot(found[0], viewer.layers).labels


def images_in(viewer: Any) -> list[Image]:
    """The selected image layers, or all."""
    images = [layer for layer in viewer.layers if isinstance(layer, Image)]
    return [layer for layer in images if layer in viewer.layers.selection] or images


def one_by_one(tasks: Sequence[Task], controls: Controls) -> Generator[Progress, None, list[LayerData]]:
    """Segment one image after the other."""
    made = []
    for number, task in enumerate(tasks):
        run = make_run(task)
        for news in run:
            controls.check()
            count = f" {news.done} of {news.total}" if news.total else ""
            yield Progress(number, len(tasks), f"{task.placement.source}: {news.doing}{count}")
        made.append(labels_layer(run.result, "result", task.placement))
    return made


def add_results(
    viewer: Any, made: Sequence[LayerData], images: Sequence[Image], before: Sequence[Identity]
) -> list[Labels]:
    """Add what was found, unless the image it belongs to has gone or changed meanwhile."""
    added = []
    for data, image, identity in zip(made, images, before, strict=True):
        if image in viewer.layers and Identity.of(image).is_same_as(identity):
            added.append(add_result(viewer, data, image))
        else:
            show_warning(f'"{image.name}" was changed while it was being segmented; the result was dropped.')
    return added
