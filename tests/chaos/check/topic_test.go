package check

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

func record(t *testing.T) *kgo.Record {
	t.Helper()
	value, err := proto.Marshal(&orderv1.OrderCancelled{
		OrderId: "o1", Reason: orderv1.CancelReason_CANCEL_REASON_CUSTOMER, UndoFrom: orderv1.UndoFrom_UNDO_FROM_PAYMENT,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &kgo.Record{Topic: "order.v1", Partition: 3, Offset: 7, Key: []byte("o1"), Value: value}
	for _, h := range [][2]string{
		{"ce_specversion", "1.0"},
		{"ce_id", "e2"},
		{"ce_source", "/quadrille/order"},
		{"ce_type", "quadrille.order.v1.OrderCancelled"},
		{"ce_subject", "o1"},
		{"ce_time", "2026-11-21T12:00:00.5Z"},
		{"ce_sequence", "2"},
		{"ce_causationid", "e1"},
		{"ce_correlationid", "e0"},
		{"ce_partitionkey", "o1"},
		{"traceparent", "00-1-1-01"},
		{"content-type", "application/protobuf"},
	} {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	return r
}

func TestEnvelopeIsRead(t *testing.T) {
	t.Parallel()
	e := interner{}.event(record(t))
	if e.Bad != "" || e.ID != "e2" || e.Type != "OrderCancelled" || e.Source != "order" || e.Subject != "o1" || e.Sequence != 2 ||
		e.Cause != "e1" || e.Root != "e0" || e.Undo != "PAYMENT" || e.Reason != "CUSTOMER" || e.At.Nanosecond() == 0 {
		t.Errorf("%+v", e)
	}
}

// Each header that is missing, wrong or there twice is seen, and so is a payload that does not fit.
func TestBadRecordsAreSeen(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*kgo.Record) {
		return func(r *kgo.Record) {
			for i := range r.Headers {
				if r.Headers[i].Key == name {
					r.Headers[i].Value = []byte(value)
				}
			}
		}
	}
	cases := map[string]func(*kgo.Record){
		"another topic's":  func(r *kgo.Record) { r.Topic = "stock.v1" },
		"another key":      func(r *kgo.Record) { r.Key = []byte("o2") },
		"another source":   set("ce_source", "/quadrille/stock"),
		"no number":        set("ce_sequence", "x"),
		"no time":          set("ce_time", "noon"),
		"unknown type":     set("ce_type", "quadrille.order.v1.OrderForgotten"),
		"another version":  set("ce_specversion", "2.0"),
		"another encoding": set("content-type", "application/json"),
		"no message":       func(r *kgo.Record) { r.Value = []byte("\xff\xff") },
		"another order's":  func(r *kgo.Record) { r.Value, _ = proto.Marshal(&orderv1.OrderCancelled{OrderId: "o2"}) },
		"twice":            func(r *kgo.Record) { r.Headers = append(r.Headers, r.Headers[0]) },
	}
	for _, name := range required {
		cases[name+" missing"] = set(name, "")
	}
	for name, change := range cases {
		r := record(t)
		change(r)
		if e := (interner{}).event(r); e.Bad == "" || strings.TrimSpace(e.Bad) == "" {
			t.Errorf("%s: not seen", name)
		}
	}
}
