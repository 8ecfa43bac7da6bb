# make demo   captions twelve drawn scenes with two tiny models, here and offline
# make test   runs the tests
# make lint   ruff and mypy
# make bench  every benchmark, and one table: each figure beside its baseline
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench clean

demo: .venv/run.stamp
	@test -d demo || cp -r examples/shapes demo
	$(BIN)/python -m enhance --config configs/shapes.yaml
	@$(BIN)/python examples/table.py demo

test: .venv/dev.stamp
	$(BIN)/python -m pytest

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy examples/train examples/table.py

bench: .venv/run.stamp
	$(BIN)/python benchmarks

clean:
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

# torchvision goes into a folder of its own: PyPI's wheel cannot be loaded beside a torch for the CPU,
# and would break every other test. Without it those that show a model a video as such are skipped.
.venv/dev.stamp: .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--no-deps --upgrade --target .venv/torchvision torchvision
	@touch $@
