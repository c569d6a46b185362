.PHONY: run demo test check flood bench screenshots setup lock browser npm

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check
# The programs read .env themselves. Honcho would let .env override the settings from here, and reads
# quotes in values differently.
HONCHO := $(VENV)/bin/honcho -e /dev/null
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

run: setup .env
	$(PYTHON) -m receiver migrate
	$(HONCHO) start

# The simulated company has its own store, and all vendors but MindTickle get random credentials.
# RATE is the number of live deliveries a second.
demo: export DATABASE_URL := sqlite:///demo.db
demo: export RATE ?= 0.06
demo: export INNOVATIVE_EDUCATORS_ALLOWED_IPS := 127.0.0.1
demo: setup .env
	@$(PYTHON) -c "import socket; socket.create_server(('127.0.0.1', $(or $(RECEIVER_PORT),8000)))" \
	  2>/dev/null || { echo "Port $(or $(RECEIVER_PORT),8000) is in use. Stop the program there first."; exit 1; }
	rm -f demo.db demo.db-wal demo.db-shm
	$(PYTHON) -m receiver migrate
	@LESSONLY_AUTHORIZATION="Bearer $$($(PYTHON) -c 'import secrets; print(secrets.token_hex(32))')" \
	  STANDARD_WEBHOOKS_SECRET="whsec_$$($(PYTHON) -c 'import base64, secrets; \
	  print(base64.b64encode(secrets.token_bytes(32)).decode())')" \
	  $(HONCHO) -f .demo.Procfile start

# A file stays with one worker, as its tests share receivers. The order of the folders puts slow ones
# first, so that both workers end at about the same time.
test: $(VENV)/dev browser npm
	$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/dev
	ruff check .
	ruff format --check .
	mypy
	$(PYTHON) -m pytest tests/test_imports.py
	.ci/audit

flood: $(VENV)/dev
	$(PYTHON) -m tests.flood

# Needs more than an hour, 30 GB of disk and `wrk`. `python -m tests.bench --help` shows the parts.
bench: $(VENV)/dev
	$(PYTHON) -m tests.bench all

# The pictures of README and docs, from the demo's company.
screenshots: $(VENV)/dev browser
	$(PYTHON) -m tests.screenshots docs

setup: $(VENV)/app

$(VENV)/app: .requirements/app.txt pyproject.toml
	$(call install,app)
	touch $@

$(VENV)/dev: .requirements/dev.txt pyproject.toml
	$(call install,dev)
	touch $@ $(VENV)/app

# The pinned packages, then the project itself, built with them: this installs `repboard`.
define install
python3 -m venv $(VENV)
	$(PIP) --require-hashes -r .requirements/$(1).txt
	$(PIP) --no-deps --no-build-isolation --editable .
endef

.env:
	(umask 077; python3 -c "import secrets; print('MINDTICKLE_WEBHOOK_SECRET=' + secrets.token_hex(32))" > $@)

# The browser tests drive a real Chromium: the system's, or one that Playwright downloads.
browser: $(VENV)/dev
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -q && \
	    apt-get install -qy --no-install-recommends chromium curl openssl; } || \
	  $(PYTHON) -m playwright install chromium

# The clients of Standard Webhooks' senders are tested as npm has them.
npm:
	@command -v npm >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -q && apt-get install -qy --no-install-recommends npm; } || \
	  { echo "The tests need Node.js with npm, 18 or newer."; exit 1; }

# Pins and hashes of all packages, without download addresses.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  --extra notify pyproject.toml -o .requirements/app.txt
	uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	  --extra notify --extra dev pyproject.toml -o .requirements/dev.txt
