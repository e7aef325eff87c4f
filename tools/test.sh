#!/bin/sh
# Runs `go test` through gotestsum, which collects every package's result and closes with a summary, and does not let
# a skipped test pass: a suite that cannot run where it was asked to is a failure, not a detail of the log.
#
# usage: tools/test.sh [gotestsum flags] -- [go test flags] packages   (from the root)
set -eu

mkdir -p bin
log=$(mktemp bin/test.XXXXXX)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

code=0
bin/tools/gotestsum --format-hide-empty-pkg --jsonfile "$log" "$@" || code=$?

# A package without test files is reported as skipped too, but names no test.
skipped=$(grep '"Action":"skip"' "$log" | grep '"Test":' || true)
if [ -n "$skipped" ]; then
  echo "these tests were skipped; a test that cannot run here has to fail and say why:" >&2
  echo "$skipped" | sed 's/.*"Package":"\([^"]*\)".*"Test":"\([^"]*\)".*/  \1 \2/' >&2
  [ "$code" -ne 0 ] || code=1
fi
exit "$code"
