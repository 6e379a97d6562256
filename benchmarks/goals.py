"""What the project asks of each of its models: the data, the cases held out, the classes that count, and the bar."""

from __future__ import annotations

from dataclasses import dataclass

from napari_ganseg.training.config import Split

HELD_OUT = 0  # the fold that no training ever reads


@dataclass(frozen=True, slots=True)
class Goal:
    """One model's goal.

    Attributes:
        folder: its own data, below GANSEG_DATA.
        bar: the mean Dice that the held-out cases shall reach.
        counted: values of the classes in that mean; empty for all. The others are printed apart.
        sides: values of a pair (right, left) that must never be swapped.
        patient_until: what stands before this in a file name is the patient, whose cases are held out together.
    """

    folder: str
    bar: float
    counted: tuple[int, ...] = ()
    sides: tuple[int, int] | None = None
    patient_until: str = ""

    def is_held_out(self, name: str) -> bool:
        """Whether a case, by its file name, is one that no training ever reads."""
        return Split(patient_until=self.patient_until).fold_of(name) == HELD_OUT

    def patients(self, names: list[str]) -> int:
        """How many patients the cases come from."""
        return len({name.split(self.patient_until)[0] if self.patient_until else name for name in names})


GOALS = {
    "hippocampus-mri": Goal("hippocampus_mri", 0.88),
    "headneck-ct": Goal("headneck_ct", 0.78, counted=(1, 2, 3, 4, 7), sides=(3, 4)),
    "heart-lv": Goal("heart_lv_mri_2d", 0.87, patient_until="-IM-"),
}
