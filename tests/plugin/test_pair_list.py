"""The images a training learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels

from napari_ganseg.plugin.pair_list import PairList


def test_pairs_come_once_change_and_go(qtbot: Any) -> None:
    image, labels = Image(np.zeros((4, 4)), name="scan"), Labels(np.zeros((4, 4), np.uint8), name="mine")
    pairs = PairList()
    qtbot.addWidget(pairs)
    pairs.add(image, labels, "slices")
    pairs.add(image, labels, "background")
    assert pairs.pairs == [(image, labels, "background", 0)]
    pairs.keep_only([image])
    assert pairs.pairs == []
    assert pairs.isHidden()
