.DEFAULT_GOAL := help
.PHONY: help build install test race golden docs lint fuzz bench

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME    := 20s
PREFIX      ?= /usr/local

# nginx is in /usr/sbin, which is not on everybody's path.
export PATH := $(PATH):/usr/sbin:/sbin

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/\1	\2/p' Makefile | expand -t 10

# Without cgo and GOFLAGS the same commit gives the same bytes on every machine
# with this Go: no C compiler, path or setting of the builder gets in.
build: ## build ./mtlsplan
	CGO_ENABLED=0 GOFLAGS= go build -trimpath -buildvcs=auto -o mtlsplan ./cmd/mtlsplan

install: build ## install the program and its manual page under PREFIX (/usr/local)
	install -D -m 0755 mtlsplan $(DESTDIR)$(PREFIX)/bin/mtlsplan
	install -D -m 0644 docs/mtlsplan.1 $(DESTDIR)$(PREFIX)/share/man/man1/mtlsplan.1

test: ## install what the tests need, then run all of them
	@.ci/tools
	go test ./...

race: ## run the tests of the packages under the race detector
	CGO_ENABLED=1 go test -race ./engine ./render/... ./spec ./internal/...

golden: ## write all golden files and generated pages anew, to be read with git diff
	@.ci/tools
	MTLSPLAN_UPDATE=1 go test -count=1 ./cmd/mtlsplan ./render/nginx -run "TestScripts|TestDocs|TestReadmeSession|TestGolden"

docs: ## write the generated pages of docs/ and the README's session anew
	MTLSPLAN_UPDATE=1 go test -count=1 ./cmd/mtlsplan -run "TestDocs|TestReadmeSession"

lint: ## gofmt, vet, staticcheck and govulncheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	@echo 'go run $(GOVULNCHECK) ./...'; \
	found=$$(go run $(GOVULNCHECK) ./... 2>&1); code=$$?; echo "$$found"; \
	case $$code,$$found in \
	0,*) ;; \
	*'fetching vulnerabilities'*) echo 'NOT CHECKED for known vulnerabilities: their database cannot be reached from here.' ;; \
	*) exit 1 ;; \
	esac

fuzz: ## run every fuzz target for FUZZTIME (20s)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's,/[^/]*:func , ,' | \
	while read -r dir target; do \
		echo "$$dir $$target"; \
		go test "$$dir" -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=5x </dev/null || exit 1; \
	done

bench: ## measure against the floor: LARGE=1 PEERS=1 RUN=REGEXP, RECORD=1 writes docs/performance.*
	go run ./internal/bench $(if $(LARGE),-large) $(if $(PEERS),-peers) $(if $(value RUN),-run '$(value RUN)') $(if $(RECORD),-record .)
