# `make run` and `make test` are all; `make install` makes a service; the others are for development.
PYTHON ?= python3
ARGS ?=
TESTS ?=
INSTALLED := .venv/installed
CLIENTS := .venv/clients/installed

.PHONY: run install uninstall test test-camera ring-campaign restart-campaign
.PHONY: bench bench-household bench-ring bench-recovery lint .venv

run: $(INSTALLED)
	@exec .venv/bin/python supervisor.py $(ARGS)

# As a service that starts with the machine, as root; see docs/service.md.
install uninstall:
	@PYTHON='$(PYTHON)' deploy/$@

test: $(INSTALLED) $(CLIENTS)
	@.venv/bin/python -m pytest $(TESTS)

# The real Picamera2 on a virtual camera; needs root and debootstrap. See tests/virtual_camera/README.md.
test-camera: $(INSTALLED)
	@.venv/bin/python -m pytest -m virtual_camera $(or $(TESTS),tests/virtual_camera)

# What the suite does to the ring for a minute, for half an hour; it prints what docs/ring.md quotes.
ring-campaign: $(INSTALLED)
	@RING_CAMPAIGN=long .venv/bin/python -m pytest -s --timeout=3600 $(or $(TESTS),tests/ring_faults)

# The capture process killed a thousand times, for seven minutes.
restart-campaign: $(INSTALLED)
	@RESTARTS=1000 .venv/bin/python -m pytest tests/test_many_restarts.py

# The fan-out beside other servers, for a quarter of an hour, as root; rewrites its part of docs/benchmarks.md.
bench: .venv/for-benchmarks
	@.venv/bin/python -m bench.fanout $(ARGS)

# The whole service with a few viewers, for eight minutes; rewrites its part of docs/benchmarks.md.
bench-household: .venv/for-benchmarks
	@.venv/bin/python -m bench.household $(ARGS)

# The ring beside what else there is, for ten minutes; rewrites its part of docs/benchmarks.md.
bench-ring: .venv/for-benchmarks
	@.venv/bin/python -m bench.ring $(ARGS)

# Every fault ten times, for twelve minutes, as root; rewrites docs/reliability.md.
bench-recovery: $(INSTALLED)
	@.venv/bin/python -m bench.recovery $(ARGS)

lint: $(INSTALLED)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

.venv: $(INSTALLED)

# The stamp is made last, and what has no stamp is made anew: an interrupted try leaves nothing half done behind.
# picamera2 comes from apt and is compiled against apt's numpy, so the numpy that is found stays in use.
$(INSTALLED): setup.cfg pyproject.toml Makefile
	@command -v $(PYTHON) >/dev/null || { \
	  echo "Ringcast needs Python 3.11 or newer, and there is no $(PYTHON); type: sudo apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Ringcast needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1); type: make $(MAKECMDGOALS) PYTHON=python3.11 (or the newer one you have)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make a virtual environment; type: sudo apt install python3-venv"; exit 1; }
	@echo "Installing into .venv, once; this takes a minute or two."
	@$(PYTHON) -m venv --clear --system-site-packages .venv
	@$(PYTHON) -c 'import numpy; print("numpy==" + numpy.__version__)' >.venv/constraints.txt 2>/dev/null || :
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint .venv/constraints.txt --editable '.[test]' || { \
	  echo "Installing failed, see above; check the network and the free disk space, then type the same again"; exit 1; }
	@.venv/bin/python -c 'import simplejpeg' || { \
	  echo "simplejpeg does not work with the numpy found here, see above; type: rm -r .venv; sudo apt install --reinstall python3-numpy; make"; exit 1; }
	@touch $@

# Clients that the tests let watch, from npm.
$(CLIENTS): tests/clients/package.json $(INSTALLED)
	@command -v npm >/dev/null || { \
	  echo "some of the tests' clients come from npm, and there is none; type: sudo apt install nodejs npm"; exit 1; }
	@mkdir -p $(@D)
	@cp tests/clients/package.json $(@D)
	@npm install --prefix $(@D) --no-package-lock --no-audit --no-fund --silent
	@touch $@

.venv/for-benchmarks: $(INSTALLED)
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint .venv/constraints.txt --editable '.[bench,test]'
	@touch $@
