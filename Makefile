.DEFAULT_GOAL := help
.PHONY: help build install dist image test test-fast race golden docs screenshots site lint cross fuzz bench bench-compare

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
BENCHSTAT   := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
FUZZTIME    := 20s
PREFIX      ?= /usr/local

# nginx is in /usr/sbin, which is not on every user's path.
export PATH := $(PATH):/usr/sbin:/sbin

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1	\2/p' Makefile | expand -t 15

# Without cgo and GOFLAGS the same commit gives the same bytes on every machine
# with the same Go: no C compiler, path or setting of the builder has an effect.
build: ## build ./mtlsplan
	CGO_ENABLED=0 GOFLAGS= go build -trimpath -buildvcs=auto -o mtlsplan ./cmd/mtlsplan

install: build ## install the program and its manual page under PREFIX (/usr/local)
	install -D -m 0755 mtlsplan $(DESTDIR)$(PREFIX)/bin/mtlsplan
	install -D -m 0644 docs/mtlsplan.1 $(DESTDIR)$(PREFIX)/share/man/man1/mtlsplan.1

# Packages, archives and the rest are made by a module of its own, with its own libraries.
DIST = cd packaging && GOFLAGS= go run ./dist -C .. $(if $(VERSION),-version '$(VERSION)') $(if $(MAINTAINER),-maintainer '$(MAINTAINER)')

dist: ## make build/dist: .deb, .rpm, archives, container image, SBOMs, sums; VERSION=1.2.3 MAINTAINER='NAME <ADDRESS>'
	$(DIST)

image: ## make the container image alone, build/dist/*_oci.tar, without a daemon
	$(DIST) -kinds image -for 'linux/amd64 linux/arm64'

# Vet is part of lint.
test: ## install the programs that the tests need, then run all tests
	@.ci/tools
	go test -vet=off -timeout 30m ./...
	cd packaging && go test -count=1 ./... # go keeps results when files of another module have changed

test-fast: ## run the quick tests, for every save, in two minutes: no disks, sweeps, races and judges
	go test -short ./...

# internal/p12 starts no goroutine, and its readers are programs of others. The sweeps do
# one after the other what the short tests do at once, and find no race that those do not.
race: ## run the packages' tests under the race detector
	CGO_ENABLED=1 go test -vet=off -race -short ./engine ./render/... ./spec $$(go list ./internal/... | grep -v /p12)

# GOLDEN=some leaves out most scripts, whose golden parts make test compares.
golden: ## write all golden files and generated pages; read the change with git diff
	@.ci/tools
	MTLSPLAN_UPDATE=$(or $(GOLDEN),1) go test -vet=off -count=1 ./cmd/mtlsplan ./render/nginx ./internal/secret -run "TestScripts|TestDocs|TestReadmeSession|TestGolden|TestWordLists"

docs: ## write the generated pages of docs/, and what commands print in the others and the README
	MTLSPLAN_UPDATE=1 go test -count=1 ./cmd/mtlsplan -run "TestDocs|TestReadmeSession"

screenshots: ## write the pictures in docs/img, with Chromium and pngquant; look at each
	@command -v pngquant >/dev/null || { echo 'There is no pngquant: apt-get install pngquant'; exit 1; }
	@.ci/tools
	@mkdir -p docs/img
	MTLSPLAN_SCREENSHOTS=1 go test -count=1 ./cmd/mtlsplan -run TestScreenshots
	pngquant --force --strip --ext .png 64 docs/img/*.png

site: ## make a web site of the README and docs/ in build/site, with Debian's mkdocs and mkdocs-material
	.ci/site

lint: ## run gofmt, vet, staticcheck and govulncheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	cd packaging && go vet ./...
	@$(MAKE) --no-print-directory cross
	go run $(STATICCHECK) ./...
	cd packaging && go run $(STATICCHECK) ./...
	@echo 'go run $(GOVULNCHECK) ./...'; \
	found=$$(go run $(GOVULNCHECK) ./... 2>&1); code=$$?; echo "$$found"; \
	case $$code,$$found in \
	0,*) ;; \
	*'fetching vulnerabilities'*) echo 'NOT CHECKED for known vulnerabilities: cannot reach their database.' ;; \
	*) exit 1 ;; \
	esac

# The tests of what is left out for Windows are for POSIX systems.
cross: ## build for macOS and Windows, and vet what is built there
	GOOS=darwin GOARCH=arm64 go vet ./...
	GOOS=darwin GOARCH=arm64 go build -o /dev/null ./cmd/mtlsplan
	GOOS=windows GOARCH=amd64 go vet $$(go list ./... | grep -vE '^mtlsplan/(cmd/mtlsplan|engine|internal/bench.*|internal/input)$$')
	GOOS=windows GOARCH=amd64 go build -o /dev/null ./cmd/mtlsplan

fuzz: ## run every fuzz target for FUZZTIME (20s)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's,/[^/]*:func , ,' | \
	while read -r dir target; do \
		echo "$$dir $$target"; \
		go test "$$dir" -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=5x </dev/null || exit 1; \
	done

# The rows whose ROW/users=N matches RUN, in TURNS turns.
BENCH = go test ./internal/bench -run='^$$' -bench='^Benchmark(Process|Gate)$$/$(value RUN)' -benchtime=1x -count=$(or $(TURNS),6) -timeout=0

bench bench-compare: SHELL := bash
bench bench-compare: .SHELLFLAGS := -euo pipefail -c

bench: ## compare with the floor: LARGE=1 PEERS=1 RUN=REGEXP TURNS=6; RECORD=1 writes docs/performance.*
	mkdir -p build
	$(BENCH) | tee build/bench.txt
	go run $(BENCHSTAT) -row /run,/users -col '/prog@(floor mtlsplan)' build/bench.txt
	$(if $(RECORD),go run ./internal/bench/record docs build/bench.txt)

bench-compare: ## compare with another commit, in turns: BASE=REV, and the variables of bench
	rm -rf build/base && mkdir -p build/base
	git archive '$(BASE)' | tar -x -C build/base
	cd build/base && go build -trimpath -buildvcs=false -o ../mtlsplan-base ./cmd/mtlsplan
	rm -rf build/base
	COMPARE='$(CURDIR)/build/mtlsplan-base' $(BENCH) | tee build/compare.txt
	go run $(BENCHSTAT) -row /run,/users -col '/prog@(base mtlsplan)' build/compare.txt
