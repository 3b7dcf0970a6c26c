# Everything a contributor runs. `make` alone prints this list.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

FUZZTIME ?= 30s
BENCH    ?= .
COUNT    ?= 6
TIME     ?= 10m
OLD      ?=
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FIGURES  := dist/bench-$(VERSION)-$(shell date +%H%M%S).txt

.PHONY: help test tools format-check vet staticcheck race fuzz-short checks fuzz bench build reliability demo screens cover format clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: tools format-check vet staticcheck race fuzz-short checks ## all that has to pass before a change lands

tools:
	@for tool in go gofmt git gcc; do \
		command -v $$tool >/dev/null || { echo "make test needs $$tool on the PATH (gcc is for go test -race)" >&2; exit 1; }; \
	done

format-check: ## is every Go file as gofmt writes it
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt'd (make format mends it):"; echo "$$unformatted"; exit 1; }

vet: ## go vet
	go vet ./...

staticcheck: ## staticcheck, at the version in go.mod
	go tool staticcheck ./...

race: ## every test, under the race detector, in a random order
	go test -race -shuffle=on -timeout=8m ./...

fuzz-short: ## every fuzz target for up to 3 s, 2 minutes at most in all
	FUZZTOTAL=120 bash scripts/fuzz.sh 3s

checks: ## every scripts/check-*.sh
	@shopt -s nullglob; for check in scripts/check-*.sh; do echo "$$check"; bash "$$check"; done

fuzz: ## every fuzz target for FUZZTIME each: make fuzz FUZZTIME=5m
	bash scripts/fuzz.sh $(FUZZTIME)

bench: ## benchmarks into dist/: make bench [BENCH=Post] [COUNT=6] [OLD=file to compare with]
	@mkdir -p dist
	go test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(COUNT) ./... | tee $(FIGURES)
	go tool benchstat $(OLD) $(FIGURES)

reliability: ## three servers on PostgreSQL while everything fails in turn: make reliability [TIME=10m]
	go test ./cmd/saldo -count=1 -v -timeout=1h -run='^TestReliability$$' -reliability=$(TIME)

build: ## one static binary, dist/saldo
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w -X main.version=$(VERSION)' -o dist/saldo ./cmd/saldo

demo: build ## a server with sample accounts
	dist/saldo demo

screens: ## the pictures of docs/dashboard.md, from a demo in Chromium
	go test ./dash -count=1 -run='^TestScreens$$' -screens="$(CURDIR)/docs/screens"

cover: ## how much of the code the tests reach: dist/cover.html
	@mkdir -p dist
	go test -coverpkg=./... -coverprofile=dist/cover.out ./...
	go tool cover -html=dist/cover.out -o dist/cover.html
	@go tool cover -func=dist/cover.out | tail -n 1

format: ## gofmt -w
	gofmt -w .

clean: ## remove dist/
	rm -rf dist
