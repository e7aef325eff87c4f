package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// record is an event as it lies in Kafka, decided and published so many milliseconds after begin.
func record(id, eventType string, begin time.Time, decided, published int) *kgo.Record {
	e := kafka.Envelope{
		ID: uuid.NewString(), Type: eventType, Source: "/quadrille/bench", Subject: id, Sequence: 1,
		Time: begin.Add(time.Duration(decided) * time.Millisecond),
	}
	r := &kgo.Record{Key: []byte(id), Timestamp: begin.Add(time.Duration(published) * time.Millisecond)}
	for _, h := range e.Headers() {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	return r
}

// The parts of the way lie end to end between the moment in the order's id and its completion, whatever order the
// events are read in; an order that was not completed is not among them.
func TestSteps(t *testing.T) {
	t.Parallel()
	begin := time.UnixMilli(1_700_000_000_000)
	var id uuid.UUID
	copy(id[:], []byte{0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00}) // 1_700_000_000_000
	id[6], id[8] = 0x7f, 0xbf
	if got := placedAt(id); !got.Equal(begin) {
		t.Fatalf("placed at %v: want %v", got, begin)
	}
	order, cancelled := id.String(), uuid.Must(uuid.NewV7()).String()
	orders := map[string]*journey{}
	for _, r := range []*kgo.Record{
		record(order, "quadrille."+completedEvent, begin, 40, 45),
		record(order, "quadrille.order.v1.OrderCreated", begin, 3, 5),
		record(order, "quadrille.payment.v1.PaymentCompleted", begin, 22, 30),
		record(order, "quadrille.stock.v1.StockDecreased", begin, 6, 11),
		record(order, "quadrille.shipping.v1.ShipmentPrepared", begin, 90, 95),
		record(cancelled, "quadrille.order.v1.OrderCreated", begin, 3, 5),
	} {
		if err := note(orders, r); err != nil {
			t.Fatal(err)
		}
	}
	if orders[cancelled].complete() || !orders[order].complete() {
		t.Fatal("an order is complete with all four events, and only then")
	}
	var sum time.Duration
	for i, want := range []int{3, 2, 1, 5, 11, 8, 10, 5} {
		leg := orders[order].legs()[i]
		if leg != time.Duration(want)*time.Millisecond {
			t.Errorf("part %d took %v: want %d ms", i, leg, want)
		}
		sum += leg
	}
	if sum != 45*time.Millisecond {
		t.Errorf("the parts took %v together: want all 45 ms", sum)
	}
	var out strings.Builder
	if err := (Steps{[]*journey{orders[order]}}).Write(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "handed over → order.v1.OrderCompleted decided      10.0") {
		t.Errorf("the table lacks a part of the way:\n%s", &out)
	}
}

func TestStepsOfWhatIsNoOrder(t *testing.T) {
	t.Parallel()
	orders := map[string]*journey{}
	if err := note(orders, record("PRD_1", "quadrille.order.v1.OrderCreated", time.Now(), 0, 0)); err == nil {
		t.Error("an event of something that is no order has been entered")
	}
	bad := record("x", "quadrille.order.v1.OrderCreated", time.Now(), 0, 0)
	bad.Headers = bad.Headers[3:4]
	if err := note(orders, bad); err == nil {
		t.Error("an event without an envelope has been entered")
	}
	if err := note(orders, record("PRD_1", "quadrille.stock.v1.ProductListed", time.Now(), 0, 0)); err != nil || len(orders) > 0 {
		t.Errorf("an event beside the way: %v, %v", err, fmt.Sprint(orders))
	}
}
