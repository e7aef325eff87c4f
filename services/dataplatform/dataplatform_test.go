package dataplatform

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	payload, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// Every event is kept as it came, in the order in which it came, whatever it is; nothing follows from it.
func TestEveryEventIsKept(t *testing.T) {
	t.Parallel()
	w := &World{}
	records := []flow.Record{
		{ID: "2", Type: "quadrille.order.v1.OrderCreated", SubjectID: "o", Sequence: 1, Time: flowtest.Now, CausationID: "c", CorrelationID: "r", Payload: []byte("x")},
		{ID: "1", Type: "quadrille.nobody.v9.NotKnown", SubjectID: "p", Sequence: 7, Time: flowtest.Now},
	}
	for _, r := range records {
		if told := flowtest.Told(flowtest.Decide(t, Topology, w, r)); told != "" {
			t.Errorf("%s was answered with %q", r.Type, told)
		}
	}
	if len(w.Facts) != 2 {
		t.Fatalf("%d facts", len(w.Facts))
	}
	for i, r := range records {
		f := w.Facts[i]
		if f.ID != r.ID || f.Type != r.Type || f.Subject != r.SubjectID || f.Sequence != r.Sequence || !f.OccurredAt.Equal(r.Time) ||
			f.Causation != r.CausationID || f.Correlation != r.CorrelationID || string(f.Payload) != string(r.Payload) || f.Position != 0 {
			t.Errorf("fact %d is %+v of %+v", i, f, r)
		}
	}
}

// A replay ends where the live export stands; one that cannot be done in full is refused, not shortened.
func TestReplay(t *testing.T) {
	t.Parallel()
	hour := time.Hour
	for _, c := range []struct {
		name    string
		archive Archive
		from    time.Time
		status  int
	}{
		{"everything is kept", Archive{Exported: 7}, flowtest.Now.Add(-9000 * hour), 202},
		{"from the first day that is kept", Archive{Exported: 7, KeptFrom: flowtest.Now}, flowtest.Now, 202},
		{"from a day that was dropped", Archive{Exported: 7, KeptFrom: flowtest.Now}, flowtest.Now.Add(-1), 400},
		{"from the future", Archive{Exported: 7}, flowtest.Now.Add(1), 400},
		{"one too many", Archive{Exported: 7, Open: maxReplays}, flowtest.Now, 409},
		{"the last that may be open", Archive{Exported: 7, Open: maxReplays - 1}, flowtest.Now, 202},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := &World{Archive: c.archive}
			out := flowtest.At(t, Topology, w, RequestReplay{ReplayID: "r", From: c.from}, flowtest.Now)
			status := out.Reply.Status
			if out.Reply.Refusal != nil {
				status = out.Reply.Refusal.Status
			}
			replay, opened := w.Replays.Get("r")
			if status != c.status || opened != (status == 202) {
				t.Fatalf("answered %d, opened %v: want %d", status, opened, c.status)
			}
			if opened && (replay.UpTo != 7 || !replay.From.Equal(c.from) || w.Archive.Open != c.archive.Open+1) {
				t.Errorf("opened %+v with %d open", replay, w.Archive.Open)
			}
		})
	}
	flowtest.Covered(t, Topology, map[string]bool{flowtest.Name(RequestReplay{}): true, flowtest.Name(flow.Record{}): true})
}

// The shape of a batch, to the letter: readers depend on it. A change that breaks it is another Schema.
func TestShape(t *testing.T) {
	t.Parallel()
	b := Batch{ID: "b", Facts: []Fact{
		{
			Position: 3, ID: "e", Type: "quadrille.order.v1.OrderCancelled", Subject: "o", Sequence: 2, OccurredAt: flowtest.Now,
			Causation: "c", Correlation: "r", Payload: encoded(t, &orderv1.OrderCancelled{
				OrderId: "o", UserId: "u", Reason: orderv1.CancelReason_CANCEL_REASON_OUT_OF_STOCK,
				UndoFrom: orderv1.UndoFrom_UNDO_FROM_NOTHING, CancelledAt: flowtest.Stamp(0),
			}),
		},
		{Position: 5, ID: "f", Type: "quadrille.order.v2.OrderCancelled", Subject: "o", Sequence: 3, OccurredAt: flowtest.Now, Payload: []byte("secret")},
		{Position: 6, ID: "g", Type: "quadrille.order.v1.OrderCancelled", Subject: "o", Sequence: 4, OccurredAt: flowtest.Now, Payload: []byte{0xff}},
	}}
	const want = `{"schema":"quadrille.facts.v1","batchId":"b","replay":false,"facts":[` +
		`{"id":"e","type":"quadrille.order.v1.OrderCancelled","name":"OrderCancelled","version":"1","service":"order","subject":"o",` +
		`"sequence":2,"occurredAt":"2026-07-01T12:00:00Z","causationId":"c","correlationId":"r","position":3,` +
		`"data":{"orderId":"o","userId":"u","reason":"CANCEL_REASON_OUT_OF_STOCK","undoFrom":"UNDO_FROM_NOTHING","hasCoupons":false,` +
		`"cancelledAt":"2026-07-01T12:00:00Z"}},` +
		`{"id":"f","type":"quadrille.order.v2.OrderCancelled","name":"OrderCancelled","version":"2","service":"order","subject":"o",` +
		`"sequence":3,"occurredAt":"2026-07-01T12:00:00Z","position":5,"data":null},` +
		`{"id":"g","type":"quadrille.order.v1.OrderCancelled","name":"OrderCancelled","version":"1","service":"order","subject":"o",` +
		`"sequence":4,"occurredAt":"2026-07-01T12:00:00Z","position":6,"data":null}]}`
	got, err := b.JSON()
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
	b.Replay = "x"
	if got, _ = b.JSON(); !strings.Contains(string(got), `"replay":true,"replayId":"x"`) {
		t.Errorf("a replay's batch: %s", got)
	}
}

// The batch in docs/dataplatform.md has the fields of a batch, all of them, and no others.
func TestDocumentedBatch(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/dataplatform.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```json\n")
	example, _, _ = strings.Cut(example, "```")
	var documented Document
	strict := json.NewDecoder(strings.NewReader(example))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&documented); err != nil || len(documented.Facts) != 1 {
		t.Fatalf("%v: %s", err, example)
	}
	line := documented.Facts[0]
	var event orderv1.OrderCancelled
	if err := protojson.Unmarshal(line.Data, &event); err != nil {
		t.Fatal(err)
	}
	made, err := Batch{ID: documented.BatchID, Facts: []Fact{{
		Position: line.Position, ID: line.ID, Type: line.Type, Subject: line.Subject, Sequence: line.Sequence, OccurredAt: line.OccurredAt,
		Causation: line.Causation, Correlation: line.Correlation, Payload: encoded(t, &event),
	}}}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var flat bytes.Buffer
	if err := json.Compact(&flat, []byte(example)); err != nil || flat.String() != string(made) {
		t.Errorf("documented %s\nmade       %s", flat.String(), made)
	}
}

// A provider's token pays: it leaves with no fact, wherever it stands.
func TestTokensStay(t *testing.T) {
	t.Parallel()
	b := Batch{ID: "b", Facts: []Fact{{
		Type: "quadrille.order.v1.OrderCreated", Payload: encoded(t, &orderv1.OrderCreated{
			OrderId: "o", TotalAmount: 7, Checkout: &orderv1.Checkout{PaymentToken: "tok_canary", PaymentAmount: 10050, CouponRefs: []string{"W"}},
		}),
	}}}
	got, err := b.JSON()
	if err != nil || strings.Contains(string(got), "canary") || !strings.Contains(string(got), `"paymentAmount":"10050"`) {
		t.Errorf("%v, sent: %s", err, got)
	}
}

// suspicious words of a field's name: what is called so is withheld, or somebody has looked at it and says why not.
var suspicious = []string{"token", "secret", "password", "email", "phone", "line1", "line2", "postal", "holder", "account"}

// No event of the exported topics has a field that nobody has looked at: a new one with such a name fails here.
func TestNoFieldIsOverlooked(t *testing.T) {
	t.Parallel()
	seen, found := 0, 0
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		d := mt.Descriptor()
		pkg := string(d.ParentFile().Package())
		if !strings.HasPrefix(pkg, "quadrille.") || strings.HasPrefix(pkg, "quadrille.member.") {
			return true
		}
		seen++
		for i := range d.Fields().Len() {
			name := d.Fields().Get(i).Name()
			if !slices.ContainsFunc(suspicious, func(word string) bool { return strings.Contains(string(name), word) }) {
				continue
			}
			found++
			if !slices.Contains(withheld, name) {
				t.Errorf("%s.%s is exported: withhold it", d.FullName(), name)
			}
		}
		return true
	})
	if seen < 20 || found == 0 {
		t.Errorf("only %d messages were looked at, %d fields found: the walk is broken", seen, found)
	}
}

// Whatever the type and the payload are, the line is JSON, and says what it is about.
func FuzzLine(f *testing.F) {
	f.Add("quadrille.order.v1.OrderCreated", []byte{0x0a, 1, 'o'}, int64(0))
	f.Add("quadrille.order.v1.OrderCreated", []byte{0xff}, int64(1<<60))
	f.Add("quadrille.order.v1.OrderCancelled", []byte("\x3a\x06\x08\xff\xff\xff\xff\x7f"), int64(-1<<60)) // a time that protojson refuses
	f.Add("", []byte(nil), int64(253402300800))
	f.Add("a.b.c.d", []byte("x"), int64(-62167219201))
	f.Fuzz(func(t *testing.T, eventType string, payload []byte, at int64) {
		fact := Fact{ID: "e", Type: eventType, Subject: "o", OccurredAt: time.Unix(at, 0), Payload: payload}
		body, err := Batch{ID: "b", Facts: []Fact{fact}}.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var d Document
		if err := json.Unmarshal(body, &d); err != nil || len(d.Facts) != 1 || d.Facts[0].ID != "e" || len(d.Facts[0].Data) == 0 {
			t.Fatalf("%v: %s", err, body)
		}
	})
}
