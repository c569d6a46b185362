.PHONY: run demo test check flood bench setup lock browser

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check
# The programs read .env themselves. Honcho would let it override what is set here, and reads
# quotes and signs in a value in a way of its own.
HONCHO := $(VENV)/bin/honcho -e /dev/null
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

run: setup .env
	$(PYTHON) -m receiver migrate
	$(HONCHO) start

# The company plays into a store and under settings of its own: its history lies months back, and
# nobody but these processes knows the credentials of the vendors that .env need not have.
demo: export DATABASE_URL := sqlite:///demo.db
demo: export TIMESTAMP_TOLERANCE_PAST := 40000000
demo: export INNOVATIVE_EDUCATORS_ALLOWED_IPS := 127.0.0.1
demo: setup .env
	@$(PYTHON) -c "import socket; socket.create_server(('127.0.0.1', $(or $(RECEIVER_PORT),8000)))" \
	  2>/dev/null || { echo "Port $(or $(RECEIVER_PORT),8000) is taken: stop what runs there first."; exit 1; }
	rm -f demo.db demo.db-wal demo.db-shm
	$(PYTHON) -m receiver migrate
	@LESSONLY_AUTHORIZATION="Bearer $$($(PYTHON) -c 'import secrets; print(secrets.token_hex(32))')" \
	  STANDARD_WEBHOOKS_SECRET="whsec_$$($(PYTHON) -c 'import base64, secrets; \
	  print(base64.b64encode(secrets.token_bytes(32)).decode())')" \
	  $(HONCHO) -f .demo.Procfile start

# A file stays with one worker, as its tests share receivers. The order is that of the folders: the
# slow ones first, so that both workers end at about the same time.
test: $(VENV)/dev browser
	$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/dev
	ruff check .
	ruff format --check .
	mypy
	$(PYTHON) -m pytest tests/test_imports.py
	.ci/audit

flood: $(VENV)/dev
	$(PYTHON) -m tests.flood

# Takes more than an hour, 20 GB of disk and `wrk`; `python -m tests.bench --help` for a part of it.
bench: $(VENV)/dev
	$(PYTHON) -m tests.bench all

setup: $(VENV)/app

$(VENV)/app: .requirements/app.txt pyproject.toml
	$(call install,app)
	touch $@

$(VENV)/dev: .requirements/dev.txt pyproject.toml
	$(call install,dev)
	touch $@ $(VENV)/app

# The pinned packages, then the project itself, built by them: that gives `repboard`.
define install
python3 -m venv $(VENV)
	$(PIP) --require-hashes -r .requirements/$(1).txt
	$(PIP) --no-deps --no-build-isolation --editable .
endef

.env:
	(umask 077; python3 -c "import secrets; print('MINDTICKLE_WEBHOOK_SECRET=' + secrets.token_hex(32))" > $@)

# The browser test drives a real Chromium: the system's, or else one that Playwright fetches.
browser: $(VENV)/dev
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -q && \
	    apt-get install -qy --no-install-recommends chromium curl openssl; } || \
	  $(PYTHON) -m playwright install chromium

# Pins and hashes of everything, without any address to download from.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  pyproject.toml -o .requirements/app.txt
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  --extra dev pyproject.toml -o .requirements/dev.txt
