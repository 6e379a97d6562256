"""`python -m napari_ganseg` is the command `napari-ganseg`."""

from napari_ganseg.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
