# `make` prints what there is. Targets that need more than Go install it from Debian's packages when they run as
# root on a machine with apt-get; elsewhere they say what is missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
REVISION := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
IMAGE ?= waggle
WEB_IMAGE ?= waggle-simple-web

GOLANGCI_LINT_VERSION := v2.15.0
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/waggle
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
CYCLONEDX_VERSION := v1.10.0
CYCLONEDX := $(TOOLS)/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod

# Static, and the same bytes wherever it is built from the same sources.
STATIC_BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=auto
LDFLAGS := -s -w -X waggle/pkg/agent.version=$(VERSION)

# What the packages below are needed for: require COMMAND:PACKAGE. See test/install.sh.
NEED_CLANG := clang-19:clang-19 llvm-strip-19:llvm-19 /usr/include/bpf/bpf_helpers.h:libbpf-dev
NEED_TEST := $(NEED_CLANG) nft:nftables curl:curl wrk:wrk nginx:nginx-light bpftool:bpftool python3:python3 haproxy:haproxy h2load:nghttp2-client setsid:util-linux chromium:chromium \
	dockerd:docker.io docker:docker-cli,docker.io iptables:iptables promtool:prometheus mandoc:mandoc systemd-analyze:systemd systemd-nspawn:systemd-container nsenter:util-linux socat:socat openssl:openssl
# Tools that people have for HAProxy: test/consumers runs them against waggle.
NEED_TEST += hatop:hatop script:bsdutils prometheus-haproxy-exporter:prometheus-haproxy-exporter haproxy_log_analysis:haproxy-log-analysis \
	/usr/lib/nagios/plugins/check_haproxy:monitoring-plugins-contrib /usr/share/perl5/Monitoring/Plugin.pm:libmonitoring-plugin-perl \
	/usr/share/perl5/LWP/UserAgent.pm:libwww-perl /usr/share/munin/plugins/haproxy_ng:munin-plugins-extra \
	/usr/share/perl5/Munin/Plugin.pm:munin-common /usr/lib/netdata/plugins.d/python.d.plugin:netdata-plugins-python
NEED_BENCH := wrk:wrk nginx:nginx-light /usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream haproxy:haproxy nft:nftables h2load:nghttp2-client

.PHONY: help
help: ## Print this.
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/waggle, one static binary.
	$(STATIC_BUILD) -ldflags '$(LDFLAGS)' -o bin/waggle ./cmd/waggle

.PHONY: demo
demo: build ## Run a small swarm in network namespaces (root). ARGS=--once ends by itself.
	bin/waggle demo $(ARGS)

# With what failed once more at the end.
GO_TEST := go run ./test/verdict go test

# One package at a time: tests with real traffic measure time, and each would take the other's. What `make stack` builds with is built
# before, since test/swarm runs that in namespaces that reach no module proxy.
.PHONY: test
test: $(CYCLONEDX) ## Run all tests. As root none is skipped; WAGGLE_TEST_REQUIRE=all makes a skip a failure.
	@test/install.sh $(NEED_TEST)
	go vet ./...
	$(GO_TEST) -p 1 -timeout 20m $(TESTFLAGS) $$(go list ./... | grep -v '/pkg/datapath$$')
	$(GO_TEST) -timeout 20m -cover $(TESTFLAGS) ./pkg/datapath
	WAGGLE_TEST_DATAPATH=xdp $(GO_TEST) -timeout 20m -skip '^Test(Migrate|CommandsOfTheDocuments|ScalingIsFollowed)' $(TESTFLAGS) ./test/e2e
	for module in test/stack test/grafana; do (cd $$module && go vet ./... && go test $(TESTFLAGS) ./...) || exit 1; done

# The packages that run goroutines; the others are pure. Generated code and programs of tests need no detector.
RACE_PACKAGES := ./pkg/accesslog ./pkg/agent ./pkg/balance ./pkg/certs ./pkg/check ./pkg/pool ./pkg/proxy/... ./pkg/resolver ./pkg/runtimeapi \
	./pkg/sample ./pkg/stats ./pkg/stick ./pkg/userlist/...
.PHONY: race
race: ## Run the tests of the packages that run goroutines with the race detector, which takes some minutes. TESTFLAGS=-run=REGEXP for some.
	@test/install.sh $(NEED_TEST) gcc:gcc
	CGO_ENABLED=1 go test -race -p 1 -timeout 20m $(TESTFLAGS) $(RACE_PACKAGES)

.PHONY: reloads
reloads: ## Make 100 reloads under load on each path (root); `make test` makes 15.
	WAGGLE_TEST_RELOADS=100 go test -count=1 -timeout 20m -run 'TestReloadsUnderLoad' -v ./test/e2e

SOAK_TIME ?= 30m
.PHONY: soak
soak: ## Run both paths under load while everything around them fails, for SOAK_TIME (30m); writes docs/reliability.md (root).
	WAGGLE_TEST_SOAK=$(SOAK_TIME) WAGGLE_TEST_SOAK_DOCS=$(CURDIR)/docs go test -count=1 -timeout 3h -v ./test/soak

# Nothing is installed into /boot or /lib: the package is only unpacked, into the cache.
.PHONY: test-kernel
test-kernel: ## Run in a virtual machine with Debian's kernel 6.1 what it may do otherwise. ALL=1: all tests. KERNEL=META-PACKAGE.
	@test/install.sh qemu-system-x86_64:qemu-system-x86 depmod:kmod xz:xz-utils
	test/kernel/fetch.sh $(TOOLS)/kernel $(KERNEL)
	WAGGLE_TEST_KERNEL=$(TOOLS)/kernel WAGGLE_TEST_KERNEL_ALL=$(ALL) go test -v -p 1 -count=1 -timeout 4h $(TESTFLAGS) ./test/kernel/...

# Each mutant is compiled and its tests are run: an hour for all of them. ARGS='-only ring' for some, ARGS=-list to see them.
.PHONY: mutants
mutants: ## Take the kernel path's mechanisms away one by one, and demand that its tests notice (root). ARGS='-only REGEXP'.
	@test/install.sh $(NEED_CLANG)
	go run ./test/mutants $(ARGS)

# A copy of the sources is compiled in which each condition notes how it comes out.
.PHONY: cover-bpf
cover-bpf: ## Measure which outcomes of the C code's conditions the tests of pkg/datapath take (root). ARGS='-run REGEXP' for some tests.
	@test/install.sh $(NEED_CLANG)
	go run ./test/cover $(ARGS)

.PHONY: swarm-soak
swarm-soak: ## Drive a real swarm through 30 updates under load, beside HAProxy (root, 30 minutes). ARGS='-docs docs' writes docs/rolling-updates.md.
	@test/install.sh dockerd:docker.io docker:docker-cli,docker.io iptables:iptables haproxy:haproxy
	go run ./test/swarm/soak $(ARGS)

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Check formatting, modules, and what golangci-lint finds.
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go mod tidy -diff
	go mod verify
	$(GOLANGCI_LINT) run ./...

.PHONY: tools
tools: $(GOLANGCI_LINT) $(CYCLONEDX) ## Build what `make lint` and `make sbom` use.

# Built from the module proxy, which takes 3 minutes on two cores, once for each version.
$(GOLANGCI_LINT):
	GOBIN=$(dir $@) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

.PHONY: generate
generate: ## Make generated files anew: the eBPF object (clang 19) and what is made from tables.
	@test/install.sh $(NEED_CLANG)
	go generate ./...

# Built from the module proxy, once for each version.
$(CYCLONEDX):
	GOBIN=$(dir $@) go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)

.PHONY: sbom
sbom: build $(CYCLONEDX) ## List what bin/waggle is made of, in CycloneDX's format: bin/sbom.cdx.json.
	$(CYCLONEDX) bin -json -noserial -version $(VERSION) -output bin/sbom.cdx.json bin/waggle

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what is really called (Go's vulnerability database, by way of the module proxy).
	test/vulncheck.sh $(TOOLS)

.PHONY: image
image: build sbom ## Build the images of the balancer and of the demo's web service. Pulls no image.
	cp deploy/THIRD_PARTY_LICENSES bin/
	@test/install.sh docker:docker-cli,docker.io
	$(STATIC_BUILD) -ldflags '-s -w' -o bin/simple_web ./deploy/simple_web
	@# The builder inside the engine: the newer one is a plugin of the client that may be missing.
	DOCKER_BUILDKIT=0 docker build -q -t $(IMAGE) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) -f deploy/Dockerfile bin
	DOCKER_BUILDKIT=0 docker build -q -t $(WEB_IMAGE) -f deploy/simple_web/Dockerfile bin

.PHONY: stack
stack: image ## Deploy docker-stack.yml on this machine's Docker Engine, making a swarm if there is none.
	WAGGLE_IMAGE=$(IMAGE) WEB_IMAGE=$(WEB_IMAGE) deploy/stack.sh up

.PHONY: stack-down
stack-down: ## Undo what `make stack` did.
	deploy/stack.sh down

.PHONY: bench bench-l4 bench-l7 bench-tls bench-memory bench-packets
bench: bench-l4 bench-l7 bench-tls bench-memory bench-packets ## Run all benchmarks (root). ARGS='-docs docs' writes docs/performance.md.

bench-l4: ## Compare the TCP paths with plain forwarding, nftables, HAProxy and nginx.
bench-l7: ## Compare the HTTP path with HAProxy, nginx and Caddy.
bench-tls: ## Compare TLS and HTTP/2 with HAProxy.
bench-memory: ## Tell the memory of connections at which little happens, beside HAProxy.
bench-packets: ## Time the eBPF program packet by packet.
bench-l4 bench-l7 bench-tls bench-memory bench-packets: bench-%:
	@test/install.sh $(NEED_BENCH)
	go run ./test/bench $* $(ARGS)

.PHONY: clean
clean: ## Remove what was built here.
	rm -rf bin
