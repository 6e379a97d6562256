# Two commands: `make demo` shows it, `make test` proves it. Both set up what they need, and are quick a second time.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
QT ?= pyqt6
VENV := .venv$(if $(filter-out pyqt6,$(QT)),-$(QT))
BIN := $(VENV)/bin
GANSEG_DATA ?= $(abspath ../shared/data)
export GANSEG_DATA
XVFB := $(shell [ "$$(uname -s)" = Linux ] && echo 'xvfb-run -a -s "-screen 0 1600x1200x24"')

BOTH_CORES := -n 2 --dist worksteal

.PHONY: demo test test-wheel lint screenshot wheel clean

demo: $(VENV)/.installed-$(QT)
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ -z '$(XVFB)' ]; then $(BIN)/python -m napari_ganseg.plugin.demo; \
	else $(XVFB) $(BIN)/python -m napari_ganseg.plugin.demo --out demo_output; fi

test: $(VENV)/.installed-test-$(QT)
	$(XVFB) $(BIN)/python -m pytest $(BOTH_CORES)

# The same two from a built wheel, in a fresh environment beside napari[all] (with QT=pyside6: beside napari[pyside6]).
comma := ,
WHEEL_VENV := .venv-wheel-$(QT)
test-wheel: wheel
	rm -rf $(WHEEL_VENV) && $(PYTHON) -m venv $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/pip install --quiet --disable-pip-version-check "napari[$(if $(filter pyqt6,$(QT)),all,$(QT))]"
	$(WHEEL_VENV)/bin/pip install --quiet --disable-pip-version-check "$$(ls -t dist/*.whl | head -1)[test$(if $(filter pyside6,$(QT)),$(comma)pyside6)]"
	$(WHEEL_VENV)/bin/npe2 validate napari-ganseg
	$(XVFB) $(WHEEL_VENV)/bin/python -m napari_ganseg.plugin.demo --out demo_output
	$(XVFB) $(WHEEL_VENV)/bin/python -m pytest $(BOTH_CORES)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/npe2 validate napari-ganseg

screenshot: $(VENV)/.installed-$(QT)
	$(XVFB) $(BIN)/python -m napari_ganseg.plugin.demo --out demo_output --screenshot demo_output/segment.png
	$(XVFB) $(BIN)/python -m napari_ganseg.plugin.demo --out demo_output --screenshot demo_output/headneck.png \
		--scan $(or $(SCAN),sample_volumes/sample_ct.nii.gz) --model headneck-ct
	$(if $(SCAN),,cp demo_output/segment.png demo_output/headneck-3d.png docs/images/)

wheel: $(VENV)/.installed-dev
	rm -rf dist && $(BIN)/python -m build --wheel

$(VENV)/.system: tools/system-packages.sh
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed; none was found. Install it, or set PYTHON=." >&2; exit 1; }
	bash tools/system-packages.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed-$(QT): pyproject.toml $(VENV)/.system
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(QT)]'
	@touch $@

$(VENV)/.installed-test-$(QT): pyproject.toml $(VENV)/.installed-$(QT)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(QT),test]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.system
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(QT),dev]'
	@touch $@

clean:
	rm -rf dist build demo_output .pytest_cache .mypy_cache .ruff_cache
