package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// failure is one group of parked orders as operators see it.
type failure struct {
	Group, Service, EventType, Error string
	Count, Queued                    int
	Subjects                         []string
}

// parked waits until an order is parked and returns its group.
func (s *shop) parked(t *testing.T, subject string) (f failure) {
	t.Helper()
	testkit.Eventually(t, patience, func() error {
		var list struct {
			Data []failure `json:"data"`
		}
		if err := s.ops.Get(t.Context(), "/ops/v1/failures", &list); err != nil {
			return err
		}
		for _, f = range list.Data {
			if slices.Contains(f.Subjects, subject) {
				return nil
			}
		}
		return fmt.Errorf("%s is not parked", subject)
	})
	return f
}

// replay asks for a replay and returns what became of each subject.
func (s *shop) replay(t *testing.T, filter fields, dryRun bool) []string {
	t.Helper()
	var list struct {
		Data []struct{ Subject, Outcome string } `json:"data"`
	}
	body := fields{"filter": filter, "dryRun": dryRun, "reason": "test"}
	if err := s.ops.Post(t.Context(), "/ops/v1/failures/replay", body, &list); err != nil {
		t.Fatal(err)
	}
	outcomes := []string{}
	for _, r := range list.Data {
		outcomes = append(outcomes, r.Subject+" "+r.Outcome)
	}
	return outcomes
}

// A defect that one order runs into parks this order and nothing else. What comes for it meanwhile
// queues up behind; after the defect is mended a replay finishes it, in order.
func TestPoison(t *testing.T) {
	t.Parallel()
	s := open(t, map[string]map[string]string{"order": {"PENDING_TIMEOUT": "10m"}})
	c, product := s.customer(t), s.product(t, 1_000, 10)

	// The defect: stock's database refuses reservations of this member.
	stock := testkit.Pool(t, s.databases["stock"])
	sick := s.customer(t)
	_, err := stock.Exec(t.Context(), `ALTER TABLE reservation ADD CONSTRAINT defect CHECK (user_id <> '`+sick.id+`')`)
	if err != nil {
		t.Fatal(err)
	}
	completes, cancelled := sick.place(basket(product, 1, 1_000)).OrderID, sick.place(basket(product, 2, 1_000)).OrderID
	f := s.parked(t, completes)
	if f.Service != "stock" || !strings.Contains(f.Group, "OrderCreated") || !strings.Contains(f.Error, "defect") {
		t.Errorf("%+v", f)
	}
	s.parked(t, cancelled)
	for range 5 {
		if o := c.buy(basket(product, 1, 1_000)); o.Status != "COMPLETED" {
			t.Errorf("another order is %s %s", o.Status, o.why())
		}
	}
	// A cancel goes through payment and queues up behind the parked order in stock.
	if res := sick.cancel(cancelled); res.Status != http.StatusAccepted {
		t.Fatal(res.Problem())
	}
	sick.until(cancelled, func(o order) bool { return o.Progress == "UNDO_STOCK" })
	testkit.Eventually(t, patience, func() error {
		if f := s.parked(t, cancelled); f.Queued < 3 {
			return fmt.Errorf("%d events are queued, want 3", f.Queued)
		}
		return nil
	})

	if got := s.replay(t, fields{"group": f.Group}, true); len(got) != 2 || !strings.HasSuffix(got[0], " matched") {
		t.Errorf("dry run: %v", got)
	}
	if got := s.replay(t, fields{"subject": completes}, false); !slices.Equal(got, []string{completes + " failed"}) {
		t.Errorf("a replay before the defect is mended: %v", got)
	}
	if _, err := stock.Exec(t.Context(), `ALTER TABLE reservation DROP CONSTRAINT defect`); err != nil {
		t.Fatal(err)
	}
	got := s.replay(t, fields{"group": f.Group}, false)
	slices.Sort(got)
	want := []string{cancelled + " replayed", completes + " replayed"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("a replay after the defect is mended: %v, want %v", got, want)
	}
	if o := sick.settled(completes); o.Status != "COMPLETED" {
		t.Errorf("%s %s, want COMPLETED", o.Status, o.why())
	}
	if o := sick.settled(cancelled); o.Status != "CANCELLED" || o.why() != "CUSTOMER" {
		t.Errorf("%s %s, want CANCELLED CUSTOMER", o.Status, o.why())
	}
	if left := s.left(t, product); left != 4 {
		t.Errorf("%d pieces are left, want 4", left)
	}
}

// An event that cannot be decoded, and one of a version that is not known yet, are kept, not dropped.
func TestUndecodable(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	c, product := s.customer(t), s.product(t, 1_000, 3)
	subject := uuid.Must(uuid.NewV7()).String()
	id := uuid.Must(uuid.NewV7()).String()
	headers := map[string]string{
		"ce_specversion": "1.0", "ce_id": id, "ce_source": "/quadrille/order", "ce_type": "quadrille.order.v1.OrderCreated",
		"ce_subject": subject, "ce_time": time.Now().UTC().Format(time.RFC3339Nano), "ce_sequence": "1",
		"ce_correlationid": id, "ce_partitionkey": subject, "content-type": "application/protobuf",
	}
	r := &kgo.Record{Topic: "order.v1", Key: []byte(subject), Value: []byte("\xff\xff no protobuf")}
	for name, value := range headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	s.publish(t, r)
	f := s.parked(t, subject)
	if f.Service != "stock" || f.Count != 1 {
		t.Errorf("%+v", f)
	}
	if o := c.buy(basket(product, 1, 1_000)); o.Status != "COMPLETED" {
		t.Errorf("another order is %s %s", o.Status, o.why())
	}
	if got := s.replay(t, fields{"subject": subject}, false); len(got) == 0 || !strings.HasSuffix(got[0], " failed") {
		t.Errorf("it still cannot be decoded, and its replay says %v", got)
	}
	s.parked(t, subject)
}
