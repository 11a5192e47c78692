# Four things to do with the project, and what CI adds to them.

.PHONY: run test lint bench bench-cluster curves gate conformance js-suites logins fuzz simulate cluster-faults cluster-stalls chaos chaos-mutants

# The demo: server, page, login and chat at http://localhost:8000. It is compiled without
# optimization, and the compiler collects garbage less often: the first build takes a third
# less time. The server itself runs with Go's default GOGC.
run:
	@echo "Building the demo without optimization: about a minute the first time, a second later on."
	@GOGC=400 go run -exec 'env -u GOGC' -gcflags='all=-N -l' -tags socketcluster_elections ./cmd/socketcluster

# All tests of all modules. What they need besides Go is installed or started.
test:
	scripts/test.sh

lint:
	scripts/lint.sh

# The server beside a centrifuge server and socketcluster-server on Node, in one run.
bench:
	cd internal/compat && go run ./bench

# Three nodes as a cluster, and the cluster of the JavaScript packages.
bench-cluster:
	cd internal/compat && go run ./bench -cluster

# The pictures in docs/BENCHMARKS.md: how costs change with size.
curves:
	cd internal/compat && go run ./bench -curves ../../docs

# Fails when an operation costs more than it should: in allocations, and in
# comparison to the centrifuge server, in one run.
gate:
	cd internal/compat && go run ./bench -gate

# How many rules of the protocol are tested, listed as deviations, or undecided.
# go run ./internal/conformance -v lists each with its tests.
conformance:
	go run ./internal/conformance

# The JavaScript packages' own suites against this server. BRIDGE is a checkout
# of the bridge that runs them.
js-suites:
	scripts/js-suites.sh "$(BRIDGE)"

# Each way of a stock client to its identity, TRIES times in Node.js and in Chromium.
TRIES ?= 1000
logins:
	cd internal/compat && IDENTITY_TRIES=$(TRIES) go test -v -timeout 60m -run 'TestSameIdentity|TestLoginPages' ./jsclient

# Each fuzz target for FUZZTIME: a number of inputs, such as 2000x, or a time.
# A time is at odds with go test on a busy machine, which may then fail with
# "context deadline exceeded" and no input to blame.
FUZZTIME ?= 2000x
fuzz:
	scripts/fuzz.sh $(FUZZTIME)

# Whole servers under SEEDS schedules of changes of rights; see CONTRIBUTING.
SEEDS ?= 10000
simulate:
	go test ./internal/simulation -count=1 -timeout 0 -run 'TestSimulation$$' -simulate.seeds=$(SEEDS)

# Faults of a cluster that need elections: those of NATS, each of which takes seconds, then
# early ones.
FAULTS = -count=1 -v -timeout 30m -skip TestFleet -run 'TestCutOff|TestHistoryOutlivesFaults|TestLeaderComesBack|TestRevocationsAfterRestart|Election'
cluster-faults:
	go test -tags slow ./cluster $(FAULTS)
	go test -tags slow,socketcluster_elections ./cluster $(FAULTS)
	go test -tags slow ./cmd/socketcluster -count=1 -run TestFailClosed

# How long a cluster of processes stops for at faults, each of which is tried TRIALS times. It
# fails above what is promised, so nothing else may run.
TRIALS ?= 10
cluster-stalls:
	go test -tags slow ./cluster -count=1 -v -timeout 60m -run TestFleet -trials $(TRIALS)
	go test -tags slow,socketcluster_elections ./cluster -count=1 -v -timeout 60m -run TestFleet -trials $(TRIALS)

# A cluster of real processes under faults, for as long as FOR says. SEED is that of the
# schedule; without one, each run has another.
FOR ?= 5m
SEED ?= 0
KEEP ?=
chaos:
	cd internal/compat && go run ./chaos -for $(FOR) -seed $(SEED) -keep "$(KEEP)"

# Shows that it sees faults: it must find each of the patches in its testdata.
chaos-mutants:
	scripts/chaos-mutants.sh
