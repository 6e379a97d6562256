"""Measurements a reader can repeat; each prints its figures last and exits 0 only when its claim holds."""
