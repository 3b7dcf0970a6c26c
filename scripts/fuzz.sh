#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other: scripts/fuzz.sh [TIME each, such as 3s or 5m]
#
# FUZZTOTAL, in seconds, bounds the sum: with many targets each gets less than it asked for, and at least a second.
# A finding stops the run; `go test` leaves its input under testdata/fuzz, which belongs in the commit that mends it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds() {
  case $1 in
    *h) echo $((${1%h} * 3600)) ;;
    *m) echo $((${1%m} * 60)) ;;
    *) echo "${1%s}" ;;
  esac
}
each=$(seconds "${1:-3s}")

# Each package that has targets is built once, for all of them.
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
corpus=$(go env GOCACHE)/fuzz # where go test -fuzz keeps what it found interesting
packages=$({ grep -rlE --include='*_test.go' '^func Fuzz' . || true; } | xargs -r -n1 dirname | sort -u)
targets=()
for package in $packages; do
  test=$bin/${package//\//_}.test
  go test -c -fuzz=. -o "$test" "$package"
  listed=$(cd "$package" && "$test" -test.list='^Fuzz')
  for target in $(grep '^Fuzz' <<<"$listed"); do
    targets+=("$package $test $target")
  done
done
count=${#targets[@]}
if [ "$count" -eq 0 ]; then
  echo 'fuzz: no target found'
  [ "${CI:-}" != true ] || exit 1 # there, nothing to run is a failure
  exit 0
fi
if [ -n "${FUZZTOTAL:-}" ] && [ $((each * count)) -gt "$FUZZTOTAL" ]; then
  each=$((FUZZTOTAL / count > 0 ? FUZZTOTAL / count : 1))
fi
echo "fuzz: $count targets, ${each}s each"

output=$bin/output
for line in "${targets[@]}"; do
  read -r package test target <<<"$line"
  if ! (cd "$package" && "$test" -test.run='^$' -test.fuzz="^$target\$" -test.fuzztime="${each}s" -test.fuzzcachedir="$corpus/$(go list .)") >"$output" 2>&1; then
    # Until Go 1.27 the end of -fuzztime itself may be reported as a failure (golang/go#75804). It is one
    # only if this bare line is all it says: a test's own message carries its file, a finding its input.
    if ! grep -qx '    context deadline exceeded' "$output" || grep -qE '_test\.go:|Failing input|panic' "$output"; then
      cat "$output"
      exit 1
    fi
  fi
  echo "fuzz: $package $target: $(grep -o 'execs: [0-9]*' "$output" | tail -n 1)"
done
