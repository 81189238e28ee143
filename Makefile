# dealerkit: from a dealer's raw files to the pages an executive opens.
# Written for GNU make 3.81 (macOS) as well as 4: no .ONESHELL, no grouped targets, no $(file …).
#
# `make report DEALER=x` takes the lock of the dealer, writes its content stamps (lib/dealerkit/stamp.py) and calls make
# again with DEALERKIT_LOCKED=x for the chain itself; so raw files are never named here, and nothing runs twice.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PRECIOUS: .venv/bin/python
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh

# What a caller gives is taken as text: never expanded by make, never pasted into a command; commands read it from
# their environment, and stamp.py refuses what is no dealer's name, date or language.
override DEALER := $(value DEALER)
override AS_OF := $(value AS_OF)
override REPORT_LANG := $(value REPORT_LANG)
override REFRESH := $(value REFRESH)
override EXTRAS := $(value EXTRAS)
override RAW := $(value RAW)
override ID := $(value ID)
override VIN := $(value VIN)
export DEALER AS_OF REPORT_LANG REFRESH EXTRAS RAW ID VIN

# The environment: .venv, or the conda environment of environment.yml when that is active.
VENV := $(if $(filter dealerkit,$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX),.venv)
export VENV
READY = $(VENV)/.dealerkit-core
READY_DEV = $(VENV)/.dealerkit-dev
PY = $(VENV)/bin/python
KIT = $(PY) -m dealerkit
# The same, asked of the warm parent that lock.py keeps at hand (WARM=0 in the environment: none).
ASK = $(PY) -I -S lib/dealerkit/warm.py

# Same bytes on every run: no thread races, no settings of the user's own Jupyter, no need of a HOME.
export PYTHONHASHSEED := 0
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
CACHE = $(CURDIR)/build/.cache
SEALED = IPYTHONDIR="$(CACHE)/ipython" JUPYTER_CONFIG_DIR="$(CACHE)/jupyter" JUPYTER_DATA_DIR="$(CACHE)/jupyter/data" \
	JUPYTER_RUNTIME_DIR="$(CACHE)/jupyter/runtime" MPLCONFIGDIR="$(CACHE)/matplotlib" XDG_CACHE_HOME="$(CACHE)"

STAGES := $(sort $(patsubst notebooks/%.ipynb,%,$(wildcard notebooks/[0-9][0-9]-*.ipynb)))

# ---- the chain of one dealer, locked ---------------------------------------------------------------------------
ifdef DEALERKIT_LOCKED

B := build/$(DEALERKIT_LOCKED)
R := reports/$(DEALERKIT_LOCKED)
page = $R/$(if $(filter 90-summary,$1),index,$1).html
PAGES := $(foreach stage,$(STAGES),$(call page,$(stage)))

.PHONY: report verify fixlist customer vehicle $(STAGES)
report: $R/cost.html
	@echo "$R/index.html"

# One line per edge: what a stage reads besides its own code.
$B/10-audit.ipynb: $B/.inputs
$B/20-customers.ipynb: $B/10-audit.ipynb
$B/30-segments.ipynb: $B/20-customers.ipynb
$B/40-importance.ipynb: $B/20-customers.ipynb $B/30-segments.ipynb
$B/50-lifecycle.ipynb: $B/20-customers.ipynb
$B/90-summary.ipynb: $(filter-out $B/90-summary.ipynb,$(STAGES:%=$B/%.ipynb))

# Execute: the notebook is renamed into place, last. Its tables, facts and logs are for nobody else's eyes.
$(STAGES:%=$B/%.ipynb): $B/%.ipynb: $B/.code/%
	@umask 077; $(SEALED) exec $(ASK) execute --dealer "$$DEALER" --stage $*

# Render: nothing is computed, so an edit of the template reruns no analysis.
define PAGE_RULE
$(call page,$1): $B/$1.ipynb $B/.code/render
	@$$(SEALED) exec $$(ASK) render --dealer "$$$$DEALER" --stage $1
$1: $(call page,$1)
	@echo "$(call page,$1)"

endef
$(foreach stage,$(STAGES),$(eval $(call PAGE_RULE,$(stage))))

$R/dictionary.html: $B/.inputs $B/.code/dictionary
	@$(SEALED) exec $(ASK) dictionary --dealer "$$DEALER"

# Last, what all this took: the one page that differs from run to run.
$R/cost.html: $(PAGES) $R/dictionary.html
	@$(SEALED) exec $(ASK) cost --dealer "$$DEALER"

# One private page; whom it is about stays in the environment, out of every command line.
customer vehicle: $B/20-customers.ipynb
	@umask 077; $(SEALED) exec $(ASK) $@ --dealer "$$DEALER"

# What staff can mend, from the tables of the audit; never written over what they have filled in.
fixlist: $B/10-audit.ipynb
	@$(SEALED) exec $(ASK) fixlist --dealer "$$DEALER"

verify: $(STAGES:%=$B/%.ipynb)
	@DEALERKIT_VERIFY=1 $(SEALED) $(PY) -m pytest -q -p no:cacheprovider -p no:xdist --nbval --nbval-current-env $(STAGES:%=$B/%.ipynb)

# ---- what a person calls ---------------------------------------------------------------------------------------
else

# Goals of one dealer run one after the other: they share its lock. `make -j reports` is parallel over dealers.
ifeq ($(filter reports reports-each,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

# A name that has no params file is refused before anything is set up.
DEALERS := $(patsubst params/%.yaml,%,$(wildcard params/*.yaml))
KNOWN := $(strip $(foreach d,$(DEALERS),$(if $(findstring |$(DEALER)|,|$d|),$(if $(findstring |$d|,|$(DEALER)|),yes))))
ANY_PYTHON := $(firstword $(wildcard $(PY)) python3)
LOCK = -I -S lib/dealerkit/lock.py

.PHONY: help env env-dev new-dealer report fixlist reports customer vehicle lab test bench bench-data lint format verify strings schema clean $(STAGES)

help: ## this list
	@echo "make TARGET [DEALER=name] [AS_OF=2026-06-30] [REPORT_LANG=en|zh] [REFRESH=1 to read a database again]"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | awk -F '\t' '{ printf "  %-14s %s\n", $$1, $$2 }'
	@for stage in $(STAGES); do printf '  %-14s %s\n' "$$stage" "that page of the report and what it needs, for DEALER"; done
	@echo "Exit codes: 0 done; else make ends with 2 and build/DEALER/status.json says which: 2 yours to mend (bad file,"
	@echo "params, name), 1 a failure of the kit; the log is in build/DEALER/log/. Dealers: $(sort $(DEALERS))"

env: $(READY) ## set up the environment (EXTRAS=spark,cluster,pdf,bench for optional parts)
	@$(if $(READY),sh lib/setup_env.sh core)
env-dev: $(READY_DEV) ## the same, with what tests and checks need

# Without bin/python there is no environment, whatever the stamps say.
.venv/bin/python:
	@EXTRAS= sh lib/setup_env.sh core
$(VENV)/.dealerkit-core: requirements.lock pyproject.toml $(PY)
	@sh lib/setup_env.sh core
$(VENV)/.dealerkit-dev: requirements-dev.lock pyproject.toml $(PY)
	@sh lib/setup_env.sh dev

new-dealer: $(READY) ## params for your own exports: DEALER=name RAW=folder; copies the files, guesses what each column is
	@$(SEALED) $(KIT) new-dealer --dealer "$$DEALER" --raw "$$RAW"

report: $(if $(KNOWN),$(READY)) ## raw files of DEALER to reports/DEALER/index.html; only what changed runs
fixlist: $(if $(KNOWN),$(READY)) ## what the staff of DEALER can mend, as an encrypted workbook (DEALERKIT_PASSWORD in the environment)
verify: $(if $(KNOWN),$(READY_DEV)) ## run the notebooks of DEALER again and compare every output (nbval)
customer: $(if $(KNOWN),$(READY)) ## private page of one customer of DEALER; ID=customer number, person id, phone, plate or VIN
vehicle: $(if $(KNOWN),$(READY)) ## private page of one car of DEALER; VIN=VIN or plate
$(STAGES): $(if $(KNOWN),$(READY))
report fixlist verify customer vehicle $(STAGES):
	+@$(SEALED) exec $(if $(KNOWN),$(PY),$(ANY_PYTHON)) $(LOCK) "$$DEALER" -- $(MAKE) --no-print-directory $@

# File names in params/ that a dealer may have (the rest is refused by lock.py, one by one, and counts as failed).
NAMED = '^[^ -,./:-@[-^`{-~]*$$'
RESULTS := build/.reports
reports: $(READY) ## every dealer in params/, one failing stops no other; make -j4 reports for four at once
	@rm -rf $(RESULTS) && mkdir -p -m 700 build $(RESULTS)
	@ls params | sed -n 's/\.yaml$$//p' | LC_ALL=C grep -v $(NAMED) | while IFS= read -r name; do \
		DEALERKIT_RESULTS=$(RESULTS) $(PY) $(LOCK) "$$name" -- false; done; true
	+@DEALERKIT_RESULTS=$(RESULTS) $(SEALED) exec $(PY) $(LOCK) --all $(RESULTS) -- $(MAKE) -k --no-print-directory reports-each

ifneq ($(filter reports-each,$(MAKECMDGOALS)),)
EACH := $(shell ls params | sed -n 's/\.yaml$$//p' | LC_ALL=C grep $(NAMED))
.PHONY: reports-each $(EACH:%=report@%)
reports-each: $(EACH:%=report@%)
$(EACH:%=report@%): report@%:
	+@exec $(PY) $(LOCK) "$*" -- $(MAKE) --no-print-directory report DEALER="$*"
endif

lab: $(READY) ## JupyterLab on the notebooks; trying things never changes what make built
	@$(if $(HOME),,$(SEALED)) $(PY) -m jupyterlab --notebook-dir=notebooks

test: $(READY_DEV) ## all tests
	@$(SEALED) $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests

bench: $(READY) ## what a report costs beyond its arithmetic, beside papermill and nbconvert; on a machine that does nothing else
	@$(PY) tests/bench/chain.py

bench-data: $(READY) ## how well persons are joined, fakers found and ids kept, and the audit beside other tools (EXTRAS=bench; an hour)
	@$(PY) tests/bench/linking.py
	@PYTHONPATH=tests $(PY) tests/bench/authenticity.py
	@$(PY) tests/bench/ids.py --customers 20000 --seeds 2
	@$(PY) tests/bench/audit.py

lint: $(READY_DEV) ## style of code and notebooks, notebooks without outputs, schema and translations up to date
	@$(PY) -m ruff check lib tests notebooks
	@$(PY) -m ruff format --check lib tests notebooks
	@$(if $(STAGES),$(PY) -m nbstripout --keep-id --verify $(STAGES:%=notebooks/%.ipynb),true) || \
		{ echo "lint: a notebook holds outputs or run counts; make format takes them out" >&2; exit 1; }
	@$(KIT) schema --check
	@$(KIT) strings --check

format: $(READY_DEV) ## put code and notebooks into the style that lint asks for
	@$(PY) -m ruff check --fix lib tests notebooks
	@$(PY) -m ruff format lib tests notebooks
	@$(if $(STAGES),$(PY) -m nbstripout --keep-id $(STAGES:%=notebooks/%.ipynb))

strings: $(READY_DEV) ## collect the messages to translate into lib/dealerkit/locale
	@$(KIT) strings

schema: $(READY) ## write the JSON schema of params files, for editors
	@$(KIT) schema

# A fix list may hold what staff have filled in.
UNLISTED = find $1 -type f ! -name fixlist.xlsx -delete; find $1 -depth -type d -empty -delete
clean: ## remove build/ and reports/ (with DEALER: that dealer's), but for fix lists; never data/
	@case "$$DEALER" in \
		'') rm -rf build; [ ! -d reports ] || { $(call UNLISTED,reports); } ;; \
		*/* | .*) echo "DEALER is not a dealer's name" >&2; exit 2 ;; \
		*) rm -rf "build/$$DEALER"; [ ! -d "reports/$$DEALER" ] || { $(call UNLISTED,"reports/$$DEALER"); } ;; \
	esac

endif
