# What a contributor runs. Set-up happens by itself, and only when something changed.
VENV := .venv
BIN  := $(VENV)/bin
RUN   = PATH="$(CURDIR)/$(BIN):$$PATH"
unexport PYTHONDONTWRITEBYTECODE  # pytest would compile all tests again in each of its processes

.NOTPARALLEL:
.PHONY: help install install-agent uninstall demo ha-demo test test-long check lint docs languages matrix matrix-quick \
	lab foreign openwrt-ipk \
	openwrt-apk openwrt-feed bench bench-quick faults faults-quick \
	faults-mutations endurance endurance-quick fuzz fuzz-quick web-vendor screenshots clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1	/p' Makefile

install:  ## the server half on this Debian machine, in /opt/titik (as root); again to upgrade
	@sh tools/install.sh server $(ARGS)

install-agent:  ## the agent alone, for a Debian machine that is an access point (as root)
	@sh tools/install.sh agent

uninstall:  ## remove the program and its units; the city's data stays (as root)
	@sh tools/install.sh remove

demo: $(VENV)/.demo  ## watch a city of hotspots live (ARGS="--for 150" to stop by itself)
	@sh tools/need.sh mosquitto mosquitto_sub
	@$(RUN) titik demo $(ARGS)

ha-demo: $(VENV)/.cell  ## a city on three machines, to kill what you like: docs/high-availability.md (as root)
	@sh tools/need.sh mosquitto postgres etcd patroni keepalived ip nft ssh sshd
	@$(RUN) python -m tools.cell.demo $(ARGS)

check: $(VENV)/.dev  ## the fast tests, 3 minutes: no root, no network but loopback, no sleep
	@$(BIN)/pytest -q -n logical --dist loadscope -m "not system and not thorough and not long"

# pytest runs last, so that its closing line is the last word. Four files are tested at a time:
# most system tests wait.
test: $(VENV)/.dev node_modules/.package-lock.json lint matrix-quick  ## what a change is likely to break, 25 minutes (as root)
	@sh tools/need.sh chromium mosquitto mosquitto_sub pango postgres ip nft nginx prometheus promtool influxd curl prometheus-alertmanager amtool systemd-analyze shellcheck shfmt busybox-static faketime signify-openbsd ssh sshd
	@$(RUN) $(BIN)/pytest -n 4 --dist loadscope --durations=15 --hypothesis-profile=thorough -m "not long"

# Benchmarks mostly wait, so faults are played beside them. The longest file of pytest, an evening,
# takes one processor, so the others run on the second.
test-long: $(VENV)/.dev matrix fuzz-quick  ## the rest, half an hour (as root)
	@sh tools/need.sh mosquitto mosquitto_sub postgres ip nft mmdebstrap systemd-analyze shellcheck shfmt busybox-static faketime
	@sh tools/beside.sh 3600 $(VENV)/bench-quick.log "$(MAKE) -s bench-quick endurance-quick" "$(MAKE) -s faults-quick"
	@$(RUN) $(BIN)/pytest -n 2 --dist loadscope --durations=15 --hypothesis-profile=thorough -m long

matrix-quick: $(VENV)/.dev  ## the router's fast tests under the oldest versions that routers have
	@sh tools/python313.sh
	@$(BIN)/python tools/matrix.py --quick

matrix: $(VENV)/.dev  ## the router's tests under the versions that routers have
	@sh tools/need.sh mosquitto mosquitto_sub ip
	@sh tools/python313.sh
	@$(BIN)/python tools/matrix.py

lab: $(VENV)/.dev  ## real Wi-Fi in a throw-away machine: 6 minutes (as root); test and test-long have it
	@sh tools/need.sh mosquitto mosquitto_sub
	@$(BIN)/pytest -q --durations=2 tests/system/test_lab.py tests/system/test_evening.py tests/system/test_topologies.py

foreign: $(VENV)/.dev  ## the router's tests on ARM and on a big-endian processor (as root; weekly)
	@sh tools/need.sh mosquitto mosquitto_sub ip mmdebstrap qemu-arm-static qemu-s390x-static
	@$(RUN) python -m tools.foreign

.PHONY: home-assistant
home-assistant: $(VENV)/.dev  ## its own schemas look at the devices of a city; the first time minutes
	@$(RUN) python -m tools.home_assistant

openwrt-ipk: $(VENV)/.dev  ## the router's packages for OpenWrt 23.05 and 24.10, in dist/
	@$(BIN)/python -m tools.openwrt_ipk
	@$(BIN)/python -m tools.openwrt_luci ipk

openwrt-apk: $(VENV)/.dev  ## the same for OpenWrt 25.12; needs apk 3 (docs/routers.md)
	@$(BIN)/python -m tools.openwrt_apk
	@$(BIN)/python -m tools.openwrt_luci apk

openwrt-feed: $(VENV)/.dev  ## signed feeds of both, in var/feed, for any web server (docs/routers.md)
	@$(BIN)/python -m tools.openwrt_feed $(ARGS)

lint: $(VENV)/.dev  ## formatting, ruff and types
	@$(BIN)/ruff format --check -q
	@$(BIN)/ruff check -q
	@$(BIN)/mypy --no-error-summary

docs: $(VENV)/.dev  ## write what is generated from the messages of agent/titik_wire
	@$(BIN)/python -m tools.write_docs

languages: $(VENV)/.dev  ## write the catalogues of the page, after a text changed
	@$(BIN)/python -m tools.write_languages
	@$(BIN)/python -m tools.luci

bench: $(VENV)/.dev  ## measure everything: half an hour; writes docs/performance.md
	@sh tools/need.sh chromium mosquitto mosquitto_sub postgres openssl collectd prometheus promtool
	@$(RUN) python -m bench.run
	@$(RUN) python -m bench.write_performance

bench-quick: $(VENV)/.dev  ## do the benchmarks work; times are not judged
	@sh tools/need.sh chromium mosquitto mosquitto_sub postgres openssl collectd prometheus promtool
	@$(RUN) python -m bench.run --quick --out $(VENV)/bench-quick.json

# On PostgreSQL only what has another course there. Three machines mostly wait for each other.
QUICKLY = python -m tests.faults run --quick --results $(VENV)/faults-quick
faults-quick: $(VENV)/.dev  ## is anything lost: every fault a few times (as root)
	@sh tools/need.sh mosquitto ip nft postgres etcd patroni
	@$(RUN) PYTHONPATH=agent:broker:. sh tools/beside.sh 900 $(VENV)/faults-quick.log "$(QUICKLY) --engine cell" \
		"$(QUICKLY) --lanes 4 && $(QUICKLY) --lanes 4 \
		--engine postgresql --only server-kills server-cuts lost-commits stopped-collectors store-disk swizzle"

faults-mutations: $(VENV)/.dev  ## break promises on purpose: each must be seen; minutes (as root)
	@sh tools/need.sh mosquitto ip nft postgres etcd patroni
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults mutate --results var/faults

faults: $(VENV)/.dev  ## the whole fault campaign: two or three hours; a second call goes on (as root)
	@sh tools/need.sh mosquitto ip nft postgres etcd patroni
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults run --full --lanes 6 --results var/faults
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults run --full --lanes 6 --results var/faults --engine postgresql
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults run --full --results var/faults --engine cell
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults mutate --results var/faults
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults baseline --results var/faults
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults report --results var/faults

endurance-quick: $(VENV)/.dev  ## a minute of gentle faults; memory is not judged (as root)
	@sh tools/need.sh mosquitto ip nft
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults.endurance --results $(VENV)/faults-quick

endurance: $(VENV)/.dev  ## 30 simulated days, 45 minutes of gentle faults: what grows? (as root)
	@sh tools/need.sh mosquitto ip nft
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults.endurance --minutes 45 --results var/faults
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults.month --results var/faults
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults report --results var/faults

fuzz-quick: $(VENV)/.dev  ## hostile bytes for every reader, 10 s each, two at a time
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.fuzz run --seconds 10 --results $(VENV)/fuzz-quick

fuzz: $(VENV)/.dev  ## the same for ten minutes each
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.fuzz run --seconds 600 --results var/faults
	@$(RUN) PYTHONPATH=agent:broker:. python -m tests.faults report --results var/faults

web-vendor: $(VENV)/.dev node_modules/.package-lock.json  ## copy the page's libraries from node_modules, as package-lock.json has them
	@$(BIN)/python -m tools.web_vendor

screenshots: $(VENV)/.dev  ## the pictures in docs/screens, of a demo with a past and in its outage: 8 minutes
	@sh tools/need.sh mosquitto chromium
	@$(RUN) $(BIN)/python -m tools.screenshots

clean:  ## remove environments and caches; data in var/ stays
	rm -rf .venv* node_modules build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.demo $(VENV)/.cell $(VENV)/.dev: pyproject.toml setup.py
	@sh tools/environment.sh $(VENV) $(subst $(VENV)/.,,$@)

node_modules/.package-lock.json: package-lock.json
	@sh tools/need.sh node npm
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
