package kafka_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// full is an envelope with every attribute.
func full() kafka.Envelope {
	return kafka.Envelope{
		ID: "0190d3a5-7c1e-7000-8000-000000000001", Type: "quadrille.stock.v1.StockDecreased", Source: "/quadrille/stock",
		Subject: "order-1", Time: time.Date(2026, 7, 1, 12, 0, 0, 123456789, time.UTC), Sequence: 2,
		Causation: "0190d3a5-7c1e-7000-8000-000000000002", Command: "0190d3a5-7c1e-7000-8000-000000000003",
		Correlation: "0190d3a5-7c1e-7000-8000-000000000004", TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
	}
}

// record is what a consumer gets of an envelope.
func record(e kafka.Envelope) *kgo.Record {
	r := &kgo.Record{Key: []byte(e.Subject)}
	for _, h := range e.Headers() {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	return r
}

// The names and their order are the contract with subscribers in other languages.
func TestHeadersOnTheWire(t *testing.T) {
	t.Parallel()
	var got []string
	for _, h := range full().Headers() {
		got = append(got, h.Key+": "+h.Value)
	}
	want := []string{
		"ce_specversion: 1.0",
		"ce_id: 0190d3a5-7c1e-7000-8000-000000000001",
		"ce_source: /quadrille/stock",
		"ce_type: quadrille.stock.v1.StockDecreased",
		"ce_subject: order-1",
		"ce_time: 2026-07-01T12:00:00.123456789Z",
		"ce_sequence: 2",
		"ce_causationid: 0190d3a5-7c1e-7000-8000-000000000002",
		"ce_commandid: 0190d3a5-7c1e-7000-8000-000000000003",
		"ce_correlationid: 0190d3a5-7c1e-7000-8000-000000000004",
		"ce_partitionkey: order-1",
		"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
		"content-type: application/protobuf",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	first := kafka.Envelope{ID: "1", Type: "quadrille.order.v1.OrderCreated", Source: "/quadrille/order", Subject: "o", Time: full().Time, Sequence: 1}
	for _, h := range first.Headers() {
		if h.Value == "" {
			t.Errorf("%s is sent empty instead of not at all", h.Key)
		}
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	t.Parallel()
	text := rapid.StringN(1, 30, -1)
	envelopes := rapid.Custom(func(t *rapid.T) kafka.Envelope {
		// Up to the last nanosecond of the year 9999, and never the zero time, which means none.
		at := time.Unix(rapid.Int64Range(-62135596799, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		zone := time.FixedZone("", rapid.IntRange(-12*3600, 12*3600).Draw(t, "zone"))
		return kafka.Envelope{
			ID: text.Draw(t, "id"), Type: text.Draw(t, "type"), Source: text.Draw(t, "source"), Subject: text.Draw(t, "subject"),
			Time: at.In(zone), Sequence: rapid.Int64Min(1).Draw(t, "sequence"),
			Causation: rapid.String().Draw(t, "causation"), Command: rapid.String().Draw(t, "command"),
			Correlation: rapid.String().Draw(t, "correlation"), TraceParent: rapid.String().Draw(t, "traceparent"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := envelopes.Draw(t, "envelope")
		r := record(want)
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "x-added-by-a-mirror", Value: []byte("1")})
		r.Headers = rapid.Permutation(r.Headers).Draw(t, "headers")
		got, err := kafka.ParseEnvelope(r)
		if err != nil {
			t.Fatal(err)
		}
		want.Time = want.Time.UTC()
		if got != want {
			t.Fatal(cmp.Diff(want, got))
		}
		if kafka.Type(r) != want.Type {
			t.Fatalf("type %q", kafka.Type(r))
		}
	})
}

// A record that cannot be understood can still be parked: the error is one that is never retried, its
// reason groups failures, and the subject is the order's wherever anything says so.
func TestMalformedHeaders(t *testing.T) {
	t.Parallel()
	const missing = "\x00missing"
	const noTime, noNumber = "ce_time is not a time", "ce_sequence is not a number from 1"
	for _, c := range []struct{ header, value, reason string }{
		{"ce_specversion", missing, "ce_specversion is not 1.0"},
		{"ce_specversion", "", "ce_specversion is not 1.0"},
		{"ce_specversion", "0.3", "ce_specversion is not 1.0"},
		{"ce_specversion", "2.0", "ce_specversion is not 1.0"},
		{"content-type", missing, "content-type is not application/protobuf"},
		{"content-type", "application/json", "content-type is not application/protobuf"},
		{"ce_id", missing, "no ce_id"},
		{"ce_id", "", "no ce_id"},
		{"ce_type", missing, "no ce_type"},
		{"ce_type", "", "no ce_type"},
		{"ce_source", missing, "no ce_source"},
		{"ce_source", "", "no ce_source"},
		{"ce_subject", missing, "no ce_subject"},
		{"ce_subject", "", "no ce_subject"},
		{"ce_time", missing, noTime},
		{"ce_time", "", noTime},
		{"ce_time", "yesterday", noTime},
		{"ce_time", "2026-07-01 12:00:00", noTime},
		{"ce_time", "2026-02-30T12:00:00Z", noTime},
		{"ce_time", "0001-01-01T00:00:00Z", noTime},
		{"ce_time", "9999-12-31T23:59:59-01:00", noTime},
		{"ce_time", "0000-01-01T00:00:00+01:00", noTime},
		{"ce_sequence", missing, noNumber},
		{"ce_sequence", "", noNumber},
		{"ce_sequence", "first", noNumber},
		{"ce_sequence", "1.5", noNumber},
		{"ce_sequence", "0", noNumber},
		{"ce_sequence", "-3", noNumber},
		{"ce_sequence", "9223372036854775808", noNumber},
	} {
		t.Run(c.header+"="+c.value, func(t *testing.T) {
			t.Parallel()
			r := record(full())
			r.Headers = replaced(r.Headers, c.header, c.value, c.value != missing)
			e := mustNotParse(t, r, c.reason)
			if e.Subject != "order-1" {
				t.Errorf("it would be parked under %q", e.Subject)
			}
			want := full()
			clear := map[string]func(){
				"ce_id": func() { want.ID = "" }, "ce_type": func() { want.Type = "" }, "ce_source": func() { want.Source = "" },
				"ce_time": func() { want.Time = time.Time{} }, "ce_sequence": func() { want.Sequence = 0 },
			}[c.header]
			if clear != nil {
				clear()
			}
			if e != want {
				t.Errorf("what could be read is lost: %s", cmp.Diff(want, e))
			}
		})
	}
}

func replaced(headers []kgo.RecordHeader, key, value string, keep bool) []kgo.RecordHeader {
	var out []kgo.RecordHeader
	for _, h := range headers {
		if h.Key == key {
			if !keep {
				continue
			}
			h.Value = []byte(value)
		}
		out = append(out, h)
	}
	return out
}

func mustNotParse(t *testing.T, r *kgo.Record, reason string) kafka.Envelope {
	t.Helper()
	e, err := kafka.ParseEnvelope(r)
	var decode *fault.DecodeError
	if !errors.As(err, &decode) {
		t.Fatalf("error %v: want a *fault.DecodeError", err)
	}
	if decode.Reason != reason || decode.Type != e.Type {
		t.Errorf("refused with %q about %q, want %q about %q", decode.Reason, decode.Type, reason, e.Type)
	}
	if fault.Classify(err) != fault.Deterministic {
		t.Error("the error would be tried again for ever")
	}
	return e
}

func TestRecordsWithNothing(t *testing.T) {
	t.Parallel()
	if e := mustNotParse(t, &kgo.Record{Key: []byte("order-1"), Value: []byte("x")}, "ce_specversion is not 1.0"); e.Subject != "order-1" {
		t.Errorf("subject %q instead of the key", e.Subject)
	}
	if e := mustNotParse(t, &kgo.Record{}, "ce_specversion is not 1.0"); e != (kafka.Envelope{}) {
		t.Errorf("something was read of nothing: %+v", e)
	}
	for _, key := range []string{"", "order-2", "order-1 ", "ORDER-1"} {
		astray := record(full())
		astray.Key = []byte(key)
		if e := mustNotParse(t, astray, "ce_subject is not the record's key"); e != full() {
			t.Errorf("what could be read is lost: %s", cmp.Diff(full(), e))
		}
	}
	nowhere := record(kafka.Envelope{ID: "1", Type: "t", Source: "s", Time: full().Time, Sequence: 1})
	if e := mustNotParse(t, nowhere, "no ce_subject"); e.Subject != "" {
		t.Errorf("subject %q out of nothing", e.Subject)
	}
}

// The type that a record was let in by is the type it is decoded as, whatever else stands in it.
func TestTypeGivenTwice(t *testing.T) {
	t.Parallel()
	r := record(full())
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: kafka.HeaderType, Value: []byte("another")})
	e, err := kafka.ParseEnvelope(r)
	if err != nil || e.Type != kafka.Type(r) || e.Type != full().Type {
		t.Errorf("let in as %q, decoded as %q, %v", kafka.Type(r), e.Type, err)
	}
}

// FuzzParseEnvelope: headers are lines of "key: value". Nothing panics; what is refused is a
// *fault.DecodeError and keeps its subject; what is taken can be written and read again unchanged.
func FuzzParseEnvelope(f *testing.F) {
	seed := func(e kafka.Envelope) string {
		var b strings.Builder
		for _, h := range e.Headers() {
			b.WriteString(h.Key + ": " + h.Value + "\n")
		}
		return b.String()
	}
	whole := seed(full())
	f.Add([]byte("order-1"), whole)
	f.Add([]byte("order-1"), "")
	f.Add([]byte(nil), strings.Replace(whole, "ce_subject: order-1\n", "", 1))
	f.Add([]byte("order-1"), strings.Replace(whole, "ce_subject: order-1", "ce_subject: ", 1))
	f.Add([]byte("\xff\x00"), strings.Replace(whole, "1.0", "2.0", 1))
	f.Add([]byte("order-1"), strings.Replace(whole, "123456789Z", "5+23:59", 1))
	f.Add([]byte("order-1"), strings.Replace(whole, "2026-07-01T12:00:00.123456789Z", "9999-12-31T23:59:59-23:59", 1))
	f.Add([]byte("order-1"), strings.Replace(whole, "ce_sequence: 2", "ce_sequence: 9223372036854775808", 1))
	f.Add([]byte("order-1"), whole+"ce_type: another\nce_time: yesterday\n")
	f.Fuzz(func(t *testing.T, key []byte, headers string) {
		r := &kgo.Record{Key: key}
		said := "" // the last ce_subject
		for line := range strings.Lines(headers) {
			k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			if k == "ce_subject" {
				said = v
			}
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)})
		}
		e, err := kafka.ParseEnvelope(r)
		if err != nil {
			if said == "" {
				said = string(key)
			}
			if decode := (*fault.DecodeError)(nil); !errors.As(err, &decode) || decode.Reason == "" || e.Subject != said {
				t.Fatalf("refused with %v, subject %q, want %q", err, e.Subject, said)
			}
			return
		}
		again, err := kafka.ParseEnvelope(record(e))
		if err != nil || again != e {
			t.Fatalf("written and read again: %v %s", err, cmp.Diff(e, again))
		}
	})
}
