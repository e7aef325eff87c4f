#!/bin/sh
# Shows that the compatibility gate bites: the contract as it stands passes against the baseline, and each of four
# changes that would break a subscriber is refused, for the element it was made to.
# A gate that has never been seen to fail may be comparing the wrong things.
#
# usage: tools/verify-breaking.sh   (from anywhere; needs bin/tools/buf, which `make breaking` builds)
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
buf=$root/bin/tools/buf
order=quadrille/order/v1/order.proto

work=$(mktemp -d "${TMPDIR:-/tmp}/quadrille-breaking.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# compare checks the copied contract against the checked-in baseline and leaves buf's words in $work/said.
compare() {
  (cd "$work/proto" && "$buf" breaking --against "$root/proto/baseline.binpb") >"$work/said" 2>&1
}

fresh_copy() {
  rm -rf "$work/proto"
  mkdir "$work/proto"
  cp "$root/proto/buf.yaml" "$work/proto/"
  cp -R "$root/proto/quadrille" "$work/proto/"
}

# refused NAME SED-EXPRESSION PATTERN: edits the order events and expects buf to refuse, naming PATTERN.
# buf exits with 100 when it has found a breaking change; any other code means that it could not compare.
refused() {
  fresh_copy
  sed "$2" "$work/proto/$order" >"$work/edited"
  if cmp -s "$work/edited" "$work/proto/$order"; then
    echo "verify-breaking: $1: the edit changed nothing; $order has moved on, so adapt this script" >&2
    exit 1
  fi
  cp "$work/edited" "$work/proto/$order"
  code=0
  compare || code=$?
  if [ "$code" -ne 100 ]; then
    echo "verify-breaking: $1: expected buf to refuse it (exit 100), got exit $code:" >&2
    cat "$work/said" >&2
    exit 1
  fi
  if ! grep -q -- "$3" "$work/said"; then
    echo "verify-breaking: $1: buf refused, but not because of \"$3\":" >&2
    cat "$work/said" >&2
    exit 1
  fi
  echo "refused as it should be: $1"
}

fresh_copy
if ! compare; then
  echo "verify-breaking: the contract itself breaks the baseline:" >&2
  cat "$work/said" >&2
  exit 1
fi

refused 'a field removed' '/^  int64 total_amount = 4;$/d' 'OrderCreated'
refused 'a field renamed (JSON readers)' 's/^  int64 total_amount = 4;$/  int64 amount_total = 4;/' 'OrderCreated'
refused 'a field of another type' 's/^  int64 total_amount = 4;$/  string total_amount = 4;/' 'OrderCreated'
refused 'a value of an enumeration removed' '/^  CANCEL_REASON_OUT_OF_STOCK = 1;$/d' 'CancelReason'
