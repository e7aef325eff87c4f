#!/bin/sh
# Runs every fuzz target of the repository in turn. What one finds is kept by the go command in testdata/fuzz beside it:
# commit it with the fix, `go test` then runs it for ever.
#
# usage: tools/fuzz.sh TIME [REGEXP of package paths and names]     e.g. tools/fuzz.sh 20s 'web.*FuzzVerify'   (from the root)
set -eu

time=${1:?usage: tools/fuzz.sh TIME [REGEXP]}
only=${2:-.}

targets=$(grep -rn --include='*_test.go' '^func Fuzz' pkg services tests |
  sed 's|^\(.*\)/[^/]*_test.go:[0-9]*:func \(Fuzz[A-Za-z0-9_]*\)(.*|./\1 \2|' | sort -u | grep -E "$only" || true)
if [ -z "$targets" ]; then
  echo "no fuzz target matches $only" >&2
  exit 1
fi

failed=
while read -r package target; do
  echo "== $package $target"
  go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time" </dev/null || failed="$failed
  $package $target"
done <<EOF
$targets
EOF

if [ -n "$failed" ]; then
  echo "these targets found something (see testdata/fuzz beside them):$failed" >&2
  exit 1
fi
