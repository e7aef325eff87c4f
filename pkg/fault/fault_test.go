package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	sql := func(code string) error {
		return fmt.Errorf("save reservations: %w", &pgconn.PgError{Code: code, ConstraintName: "stock_never_negative"})
	}
	tests := map[string]struct {
		err  error
		want fault.Class
	}{
		"decode":                    {&fault.DecodeError{Type: "OrderCreated", Reason: "bad protobuf"}, fault.Deterministic},
		"decode, wrapped":           {fmt.Errorf("batch: %w", &fault.DecodeError{}), fault.Deterministic},
		"panic":                     {fault.Guard("OnOrderCreated", func() error { panic("boom") }), fault.Deterministic},
		"decide error":              {fault.Guard("OnOrderCreated", func() error { return io.EOF }), fault.Deterministic},
		"decide panics with a ctx":  {fault.Guard("x", func() error { panic(context.Canceled) }), fault.Deterministic},
		"22003 out of range":        {sql("22003"), fault.Deterministic},
		"22001 too long":            {sql("22001"), fault.Deterministic},
		"23514 check":               {sql("23514"), fault.Deterministic},
		"23505 unique":              {sql("23505"), fault.Deterministic},
		"23503 and rollback lost":   {errors.Join(sql("23503"), io.ErrUnexpectedEOF), fault.Deterministic},
		"40001 serialization":       {sql("40001"), fault.Transient},
		"40P01 deadlock":            {sql("40P01"), fault.Transient},
		"40003 completion unknown":  {sql("40003"), fault.Transient},
		"08006 connection failure":  {sql("08006"), fault.Transient},
		"53100 disk full":           {sql("53100"), fault.Transient},
		"53200 out of memory":       {sql("53200"), fault.Transient},
		"53300 connections":         {sql("53300"), fault.Transient},
		"55P03 lock timeout":        {sql("55P03"), fault.Transient},
		"57014 statement timeout":   {sql("57014"), fault.Transient},
		"25P03 idle in transaction": {sql("25P03"), fault.Transient},
		"25P04 transaction timeout": {sql("25P04"), fault.Transient},
		"57P01 admin shutdown":      {sql("57P01"), fault.Transient},
		"58030 io error":            {sql("58030"), fault.Transient},
		"42P01 undefined table":     {sql("42P01"), fault.Transient},
		"42501 no privilege":        {sql("42501"), fault.Transient},
		"0A000 not supported":       {sql("0A000"), fault.Transient},
		"P0001 raised":              {sql("P0001"), fault.Transient},
		"empty code":                {sql(""), fault.Transient},
		"canceled":                  {fmt.Errorf("commit: %w", context.Canceled), fault.Transient},
		"deadline":                  {context.DeadlineExceeded, fault.Transient},
		"unexpected EOF":            {io.ErrUnexpectedEOF, fault.Transient},
		"closed socket":             {net.ErrClosed, fault.Transient},
		"disk full here":            {syscall.ENOSPC, fault.Transient},
		"connection reset":          {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, fault.Transient},
		"refusal":                   {fault.NotFound(), fault.Transient},
		"unknown":                   {errors.New("what?"), fault.Transient},
		"text that looks like one":  {errors.New("SQLSTATE 23514"), fault.Transient},
		"nil":                       {nil, fault.Transient},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fault.Classify(tt.err); got != tt.want {
				t.Errorf("Classify(%v) = %v, want %v", tt.err, got, tt.want)
			}
		})
	}
}

type hole struct{ next *hole }

func panicNil(h *hole) error { h.next.next = nil; return nil }
func panicOther() error      { panic("order 4711 is odd") }

func TestFingerprintGroupsByCause(t *testing.T) {
	t.Parallel()
	guard := func(decide func() error) error { return fault.Guard("OnOrderCreated", decide) }
	check := func(name, row string) error {
		return fmt.Errorf("save %s: %w", row, &pgconn.PgError{Code: "23514", ConstraintName: name, Detail: row})
	}
	same := map[string][2]error{
		"text with ids":  {errors.New("no row for 0199a1b2-0000-7000-8000-000000000001"), errors.New("no row for 0199a1b2-0000-7000-8000-0000000000ff")},
		"quoted names":   {errors.New(`unknown product "FLASH"`), errors.New(`unknown product "SOLDOUT"`)},
		"constraint":     {check("stock_never_negative", "a"), check("stock_never_negative", "b")},
		"decode":         {&fault.DecodeError{Type: "A", Reason: "r", Err: errors.New("at 1")}, &fault.DecodeError{Type: "A", Reason: "r", Err: errors.New("x")}},
		"panic":          {guard(func() error { return panicNil(&hole{}) }), guard(func() error { return panicNil(&hole{}) })},
		"panic, wrapped": {guard(panicOther), fmt.Errorf("event 12: %w", guard(panicOther))},
	}
	for name, pair := range same {
		if a, b := fault.Fingerprint(pair[0]), fault.Fingerprint(pair[1]); a != b || len(a) != 12 {
			t.Errorf("%s: %q and %q, want one group of 12 digits", name, a, b)
		}
	}
	different := map[string][2]error{
		"other constraint": {check("a", ""), check("b", "")},
		"other text":       {errors.New("no row"), errors.New("no table")},
		"other decode":     {&fault.DecodeError{Type: "A", Reason: "r"}, &fault.DecodeError{Type: "B", Reason: "r"}},
		"other panic":      {guard(panicOther), guard(func() error { return panicNil(&hole{}) })},
		"other function":   {fault.Guard("A", panicOther), fault.Guard("B", panicOther)},
	}
	for name, pair := range different {
		if a, b := fault.Fingerprint(pair[0]), fault.Fingerprint(pair[1]); a == b {
			t.Errorf("%s: both %q, want two groups", name, a)
		}
	}
	if got := fault.Fingerprint(nil); got != "" {
		t.Errorf("Fingerprint(nil) = %q, want none", got)
	}
}

func TestRefusalSurvivesStorage(t *testing.T) {
	t.Parallel()
	field := fault.FieldError{Pointer: "/items/0/productPrice", Code: fault.CodePriceChanged, Detail: "The price is now 9000."}
	want := fault.Unprocessable(fault.CodePriceChanged, "A price has changed.", field)
	want.RetryAfter = 3 * time.Second
	stored, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := &fault.Refusal{}
	if err := json.Unmarshal(stored, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after storage (-want +got):\n%s", diff)
	}
	if !errors.Is(fmt.Errorf("place: %w", got), want) {
		t.Error("errors.Is does not find the refusal by its code")
	}
	if errors.Is(got, fault.NotFound()) {
		t.Error("errors.Is takes one refusal for another")
	}
}

func TestConstructors(t *testing.T) {
	t.Parallel()
	missing := fault.FieldError{Pointer: "/items", Code: fault.CodeMissingField, Detail: "items is required."}
	invalid := fault.FieldError{Pointer: "/pointAmount", Code: fault.CodeInvalidField, Detail: "pointAmount is negative."}
	tests := map[string]struct {
		refusal   *fault.Refusal
		status    int
		code      string
		retryable bool
	}{
		"not found":     {fault.NotFound(), 404, "not_found", false},
		"conflict":      {fault.Conflict(fault.CodeNotCancelable, "dispatched"), 409, "not_cancelable", false},
		"unprocessable": {fault.Unprocessable(fault.CodeAmountMismatch, ""), 422, "amount_mismatch", false},
		"one missing":   {fault.Invalid(missing), 400, "missing_field", false},
		"mixed":         {fault.Invalid(missing, invalid), 400, "invalid_field", false},
		"none":          {fault.Invalid(), 400, "invalid_field", false},
		"forbidden":     {fault.Forbidden(""), 403, "forbidden", false},
		"unauthorized":  {fault.Unauthorized(""), 401, "unauthenticated", false},
		"unavailable":   {fault.Unavailable(fault.CodeOrderParked, "", time.Minute), 503, "order_parked", true},
		"by registry":   {fault.Of(fault.CodeRateLimited, ""), 429, "rate_limited", true},
	}
	for name, tt := range tests {
		if tt.refusal.Status != tt.status || tt.refusal.Code != tt.code || tt.refusal.Retryable != tt.retryable || tt.refusal.Title == "" {
			t.Errorf("%s: %+v, want %d %s retryable=%v with a title", name, tt.refusal, tt.status, tt.code, tt.retryable)
		}
	}
}

func TestCodesAreUniqueAndExplained(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range fault.Codes() {
		if seen[c.Name] || c.Title == "" || c.Meaning == "" || c.Status < 400 || c.Status > 599 {
			t.Errorf("%+v: want a unique name, title, meaning and an error status", c)
		}
		seen[c.Name] = true
	}
	if fault.Known("no_such_code") || !fault.Known(fault.CodeInternal) {
		t.Error("Known does not follow the registry")
	}
}
