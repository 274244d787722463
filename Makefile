# One environment, one lock. `make demo` and `make test` are all a newcomer needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALL := pip install --quiet --disable-pip-version-check --no-deps --no-compile
TORCH := $(shell grep "^torch==" cluster/env/cpu.txt)
export HF_HUB_OFFLINE ?= 1

.PHONY: setup demo test test-long bench study lint clean

setup: .venv/ready

.venv/ready: cluster/env/cpu.txt pyproject.toml
	@$(PYTHON) -c 'import sys; assert sys.version_info[:2] == (3, 11), "Python 3.11 is needed: make PYTHON=/path/to/python3.11"'
	$(PYTHON) -m venv .venv
	@# PyPI's torch is a CUDA build: the CPU build is taken from where pip is told to look, or else from PyTorch's own index
	$(BIN)/$(INSTALL) "$(TORCH)" 2>/dev/null || $(BIN)/$(INSTALL) --index-url https://download.pytorch.org/whl/cpu "$(TORCH)"
	@# unpacking takes the time, and pip unpacks on one core: two of them at once
	grep "==" cluster/env/cpu.txt | grep -v "^torch==" | xargs -P 2 -n 32 $(BIN)/$(INSTALL)
	@# a run has many processes, and each would compile what it imports where PYTHONDONTWRITEBYTECODE is set; a few packages
	@# bring files that are not of this Python, which compileall reports by its status
	$(BIN)/python -m compileall -qq -j 0 -x "/tests?/" .venv/lib || true
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m cluster.env.torchvision_cpu
	$(BIN)/preceptor models starter || { $(BIN)/preceptor doctor; exit 1; }
	touch .venv/ready

demo: setup
	$(BIN)/python -m tests.lectures.demo demo/videos
	$(BIN)/preceptor curate demo/videos --out demo/dataset
	$(BIN)/python -m tests.lectures.loop demo/dataset demo/loop

test: setup lint
	$(BIN)/python -m pytest -q -n 3 --no-loadscope-reorder --durations=20

test-long: setup
	$(BIN)/python -m pytest -q -m long

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

study: setup
	$(BIN)/python -m tests.lectures.study build/study

bench: setup
	$(BIN)/python -m tests.bench.run

clean:
	rm -rf demo build
