# Needs Go and make, nothing else: tools come from tools/go.mod, PostgreSQL and the Kafka jars as packages.
# GNU make 3.81 (macOS) and later; recipes are plain sh.

.DEFAULT_GOAL := help
SHELL := /bin/sh
# The go command uses every core already, and verify rewrites files that lint reads.
.NOTPARALLEL:

MODULES := proto pkg services tests
# The root has no module, hence no ./...; in workspace mode these patterns reach all four from here.
PACKAGES := $(MODULES:%=./%/...)

TOOLS := bin/tools
CHOREOGRAPHY := ./services/choreography/cmd/choreography

# What `make generate` writes and `make verify` compares, besides README's section.
GENERATED := ':(glob)proto/**/*.pb.go' proto/asyncapi.yaml deploy/topics.yaml

# The integration suite that has to hold on the real broker as well as on the embedded one.
KAFKA_PACKAGES ?= ./pkg/embed/... ./pkg/kafka/... ./pkg/outbox/... ./pkg/engine/... ./tests/e2e/...

# Suites that start the services as processes of their own on a real Kafka.
CLUSTER_PACKAGES := ./tests/internal/cluster/... ./tests/chaos/nemesis/... ./tests/rolling/...

# Suites that press the whole system with thousands of requests at once. What they look for happens in PostgreSQL, so under
# the race detector, many times slower, they would prove nothing more: RACE=1 leaves them to test-attacks.
ATTACK_PACKAGES := ./tests/races/... ./tests/verify/...

# RACE=1 turns the race detector on (needs a C compiler). TEST_FLAGS go to `go test` as they are.
RACE ?=
TEST_FLAGS ?=
TEST_TIMEOUT ?= 20m
TEST_FORMAT ?= $(if $(CI),standard-quiet,pkgname)

# How many simulator seeds, from which on; how long chaos or each fuzz target goes on; which mutants.
SEEDS ?= 10000
SEED ?= 1
FOR ?= $(if $(filter fuzz,$(MAKECMDGOALS)),10s,10m)
ONLY ?=
CHAOS_FLAGS ?=
# Past orders of bench-full; of how many of them shipping, mailer and gateway know (0: all).
PAST ?= 10000000
SIDE ?= 100000
BENCH_FLAGS ?=

# on turns a switch like RACE=1 or FRESH=yes into a word, and 0, no or false into nothing.
on = $(filter-out 0 no false,$(1))

# A checkout that belongs to somebody else (CI as root, a mounted folder) makes git refuse and with it every build
# that wants to stamp the commit; the image build sets the version itself.
export GOFLAGS := $(strip $(shell go env GOFLAGS) -buildvcs=false)

##@ Run

.PHONY: up
up: ## Start everything in one process, seeded (FRESH=1 wipes the data first)
	@mkdir -p bin
	go build -o bin/quadrille ./services/quadrille/cmd/quadrille
	bin/quadrille up $(if $(call on,$(FRESH)),--fresh)

##@ Check

.PHONY: test
test: $(TOOLS)/gotestsum ## Every test that needs no Docker and no java (RACE=1: under the race detector, but for test-attacks)
	@others=$$(go list $(CLUSTER_PACKAGES) $(if $(call on,$(RACE)),$(ATTACK_PACKAGES))) && all=$$(go list $(PACKAGES)) || exit 1; \
	tools/test.sh --format $(TEST_FORMAT) -- -timeout $(TEST_TIMEOUT) $(if $(call on,$(RACE)),-race) $(TEST_FLAGS) \
	  $$(printf '%s\n' "$$all" | grep -vxF "$$others")

.PHONY: test-race
test-race: ## The same under the race detector
	@$(MAKE) --no-print-directory test RACE=1

.PHONY: test-kafka
test-kafka: $(TOOLS)/gotestsum ## The integration suite on real Apache Kafka (java 17+, or KAFKA_BROKERS=host:port)
	@if [ -z "$$KAFKA_BROKERS" ] && ! java -version >/dev/null 2>&1; then \
	  echo "make test-kafka: needs java 17 or newer, or KAFKA_BROKERS=host:port of a broker to use" >&2; exit 1; fi
	@# One package at a time: each starts a broker of its own.
	@# The tag adds what kills a broker, and that has to be one of our own.
	QUADRILLE_TEST_KAFKA=apache tools/test.sh --format $(TEST_FORMAT) -- -timeout $(TEST_TIMEOUT) -count=1 -p 1 $(if $(KAFKA_BROKERS),,-tags apache) $(TEST_FLAGS) $(KAFKA_PACKAGES)

.PHONY: test-attacks
test-attacks: $(TOOLS)/gotestsum ## A thousand requests at once per attack, forgeries, tampered books (part of test without RACE=1)
	tools/test.sh --format $(TEST_FORMAT) -- -timeout $(TEST_TIMEOUT) -p 1 $(TEST_FLAGS) $(ATTACK_PACKAGES)

.PHONY: test-cluster
test-cluster: $(TOOLS)/gotestsum ## Services as processes on Apache Kafka: faults one by one, rolling deploys (java 17+)
	tools/test.sh --format $(TEST_FORMAT) -- -timeout 40m -p 1 $(TEST_FLAGS) $(CLUSTER_PACKAGES)

.PHONY: explore
explore: ## Every interleaving of one order, over the real decide functions
	go run $(CHOREOGRAPHY) explore

.PHONY: sim
sim: ## Many orders under seeded faults, over the same functions (SEEDS=10000 SEED=1: the first; TRACE=1: all of it)
	go run $(CHOREOGRAPHY) simulate -seeds $(SEEDS) -seed $(SEED) $(if $(call on,$(TRACE)),-trace)

.PHONY: mutants
mutants: ## Take out every rule in turn and see its proof fail (ONLY=regexp: some); writes docs/mutants.md
	@mkdir -p bin
	go run ./tests/mutants/cmd/mutants -json bin/mutants.json $(if $(ONLY),-only '$(ONLY)',-doc docs/mutants.md)

.PHONY: chaos
chaos: ## The system as processes under kills, pauses and cuts (FOR=10m SEED=1); report in bin/chaos (needs java 17+)
	go run ./tests/chaos/cmd/chaos -for $(FOR) -seed $(SEED) -out bin/chaos $(CHAOS_FLAGS)

.PHONY: fuzz
fuzz: ## Every fuzz target in turn, each for FOR=10s
	tools/fuzz.sh $(FOR)

# Beside the load that is measured nothing else should run on the machine.
.PHONY: bench
bench: bin/bench ## Orders per second on Apache Kafka and PostgreSQL with fsync, beside a floor; about 8 min (java 17+)
	bin/bench -out tests/bench/results $(BENCH_FLAGS)

.PHONY: bench-full
bench-full: bin/bench ## The same with Watermill, Temporal and PAST=10000000 past orders (says first how much disk they take)
	bin/bench -runs 5 -peers -past $(PAST) -side $(SIDE) -out tests/bench/results $(BENCH_FLAGS)

.PHONY: bench-check
bench-check: bin/bench ## A short run, its ratios to the floor held against tests/bench/baseline.json
	bin/bench -runs 2 -orders 8000 -only '^(floor|feed|hot|soldout)$$' -check tests/bench/baseline.json

.PHONY: bin/bench
bin/bench:
	@mkdir -p bin
	go build -o $@ ./tests/bench/cmd/bench

.PHONY: verify
verify: verify-generated verify-proto verify-format verify-vet verify-modules verify-boundaries ## Generated files, contract, format, vet, go.mod files, boundaries

.PHONY: verify-generated
verify-generated:
	@# README is written by hand around its generated section, so it is held against itself, not against the last commit.
	@mkdir -p bin && cp README.md bin/README.before
	@$(MAKE) --no-print-directory generate
	@diff -u bin/README.before README.md || { \
	  echo "make verify: the generated section of README.md was out of date; it is rewritten, commit it" >&2; exit 1; }
	@git diff --exit-code -- $(GENERATED) || { \
	  echo "make verify: the files above differ from what is committed; 'make generate' wrote them, commit them" >&2; exit 1; }
	@new=$$(git ls-files --others --exclude-standard -- $(GENERATED)); if [ -n "$$new" ]; then \
	  echo "make verify: generated, but not committed:" >&2; echo "$$new" >&2; exit 1; fi

.PHONY: verify-proto
verify-proto: $(TOOLS)/buf
	cd proto && ../$(TOOLS)/buf lint
	cd proto && ../$(TOOLS)/buf format --diff --exit-code
	cd proto && ../$(TOOLS)/buf breaking --against baseline.binpb
	tools/verify-breaking.sh

.PHONY: verify-format
verify-format:
	@unformatted=$$(gofmt -l $(MODULES)); if [ -n "$$unformatted" ]; then \
	  echo "make verify: not formatted by gofmt:" >&2; echo "$$unformatted" >&2; exit 1; fi

.PHONY: verify-vet
verify-vet:
	go vet $(PACKAGES)

.PHONY: verify-modules
verify-modules:
	@for module in $(MODULES); do echo "go mod tidy -diff ($$module)"; \
	  (cd $$module && GOWORK=off go mod tidy -diff) || exit 1; done

.PHONY: verify-boundaries
verify-boundaries:
	go test -count=1 ./services

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## Linters of .golangci.yml
	$(TOOLS)/golangci-lint run $(PACKAGES)

.PHONY: vulncheck
vulncheck: $(TOOLS)/govulncheck ## Known vulnerabilities in what is called (needs vuln.go.dev)
	@for module in $(MODULES); do echo "govulncheck ($$module)"; \
	  $(TOOLS)/govulncheck -C $$module ./... || exit 1; done

##@ Change

.PHONY: generate
generate: $(TOOLS)/buf $(TOOLS)/protoc-gen-go ## Write all generated files: Go from proto, README's drawing, topics, AsyncAPI
	cd proto && ../$(TOOLS)/buf generate
	go run $(CHOREOGRAPHY) generate

.PHONY: format
format: $(TOOLS)/golangci-lint $(TOOLS)/buf ## Format Go and proto files in place
	$(TOOLS)/golangci-lint fmt $(MODULES)
	cd proto && ../$(TOOLS)/buf format --write

.PHONY: baseline
baseline: $(TOOLS)/buf ## Take the contract as it stands for the baseline of `buf breaking` (with a release)
	cd proto && ../$(TOOLS)/buf build --exclude-source-info -o baseline.binpb

.PHONY: tools
tools: $(TOOLS)/buf $(TOOLS)/golangci-lint $(TOOLS)/gotestsum $(TOOLS)/govulncheck $(TOOLS)/protoc-gen-go ## Build all developer tools into bin/tools

# `go tool -n` builds the pinned tool and says where the build cache keeps it; outside the workspace, as the tools
# have dependencies the product should not be held to. The copy gives make a timestamp and buf a path for its plugin.
$(TOOLS)/%: tools/go.mod tools/go.sum
	@mkdir -p $(TOOLS)
	@echo "building $* (once; a cold build of buf or golangci-lint takes a minute or two)"
	@built=$$(GOWORK=off go -C tools tool -n $*) && cp "$$built" $@.new && mv $@.new $@ && touch $@

.PHONY: clean
clean: ## Remove what was built (data of `make up` stays)
	rm -rf bin

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
