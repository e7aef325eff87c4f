package rolling

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/tests/chaos/check"
	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// kept holds the evidence against the promises. sideBySide leaves out those rules that know nothing of a second version
// on a topic of its own; numbered holds it against what they say, over all topics.
func (s *stage) kept(e *check.Evidence, sideBySide bool) {
	s.t.Helper()
	apart := []string{"sequence", "emitted", "version", "timeline", "cause"}
	for _, v := range check.Judge(e) {
		if !sideBySide || !slices.Contains(apart, v.Rule) {
			s.t.Errorf("%s %s: %s\n%s", v.Rule, v.Order, v.Sentence, strings.Join(v.Evidence, "\n"))
		}
	}
	answered(s.t, e)
	inTime(s.t, e)
	s.t.Logf("%d calls, %d orders, %d events", len(e.Calls), len(e.Orders), len(e.Events))
}

// answered wants no answer of 500, and every refusal of a server to be one that says that it may be sent again.
func answered(t *testing.T, e *check.Evidence) {
	t.Helper()
	retried := map[string]int{}
	for _, c := range e.Calls {
		switch status := c.End.Status; {
		case status == 0 && c.End.Outcome != history.OK:
			retried["no answer"]++
		case status >= 500 && status != 503:
			t.Errorf("%s was answered %d %s", c.Op, status, c.End.Code)
		case status == 503:
			retried["503"]++
		}
	}
	t.Logf("%d calls, to be sent again: %v", len(e.Calls), retried)
}

// inTime wants every order to be completed or cancelled within its deadline, by the order service's own clock. The
// deadline is acted upon by a sweep, once the service reads on.
func inTime(t *testing.T, e *check.Evidence) {
	t.Helper()
	const slack = 15 * time.Second
	created, late := map[string]time.Time{}, time.Duration(0)
	decided := map[string]time.Time{}
	timedOut := 0
	for _, event := range e.Events {
		switch event.Type {
		case "OrderCreated":
			created[event.Subject] = event.At
		case "OrderCompleted", "OrderCancelled":
			if at, known := decided[event.Subject]; !known || event.At.Before(at) {
				decided[event.Subject] = event.At
			}
			if event.Reason == "TIMED_OUT" {
				timedOut++
			}
		}
	}
	for order, at := range created {
		took := decided[order].Sub(at)
		late = max(late, took)
		if decided[order].IsZero() || took > pending+slack {
			t.Errorf("order %s was decided after %s", order, took)
		}
	}
	t.Logf("%d orders, the longest was decided after %s; %d timed out", len(created), late.Round(time.Millisecond), timedOut)
}

// record is an event of any topic.
type record struct {
	topic, id, kind, source, subject, cause string
	partition                               int32
	number                                  int64
}

// records reads topics from their beginning to their end, each partition in its order.
func (s *stage) records(topics ...string) (all []record) {
	s.t.Helper()
	ends, err := s.admin().ListEndOffsets(s.t.Context(), topics...)
	if err != nil {
		s.t.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	c, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Brokers()...), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for int64(len(all)) < left {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			s.t.Fatalf("%d of %d records: %v", len(all), left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			h := map[string]string{}
			for _, header := range r.Headers {
				h[header.Key] = string(header.Value)
			}
			number, _ := strconv.ParseInt(h["ce_sequence"], 10, 64) // 0 is found below
			all = append(all, record{
				r.Topic, h["ce_id"], h["ce_type"], h["ce_source"], h["ce_subject"], h["ce_causationid"], r.Partition, number,
			})
		})
	}
	return all
}

// numbered wants every source to have published 1, 2, 3, … of each subject, each under one id, over all its topics, and
// each topic to be in order; and that every cause is there. It returns how many events there are of each type.
func (s *stage) numbered(records []record) map[string]int {
	s.t.Helper()
	type key struct{ source, subject string }
	numbers, last, ids := map[key]map[int64]string{}, map[[2]string]int64{}, map[string]bool{}
	types := map[string]int{}
	for _, r := range records {
		if ids[r.id] {
			continue // published again
		}
		ids[r.id] = true
		types[r.kind]++
		of := key{r.source, r.subject}
		if numbers[of] == nil {
			numbers[of] = map[int64]string{}
		}
		if twin := numbers[of][r.number]; twin != "" {
			s.t.Errorf("number %d of %s about %s is both %s and %s", r.number, r.source, r.subject, twin, r.id)
		}
		numbers[of][r.number] = r.id
		if on := [2]string{r.topic, r.subject}; r.number <= last[on] {
			s.t.Errorf("%s has number %d of %s after number %d", r.topic, r.number, r.subject, last[on])
		} else {
			last[on] = r.number
		}
	}
	for of, seen := range numbers {
		for n := int64(1); n <= int64(len(seen)); n++ {
			if seen[n] == "" {
				s.t.Errorf("%s has published %d events about %s, and no number %d", of.source, len(seen), of.subject, n)
			}
		}
	}
	for _, r := range records {
		if r.cause != "" && !ids[r.cause] {
			s.t.Errorf("%s %s about %s is caused by %s, which is nowhere", r.kind, r.id, r.subject, r.cause)
		}
	}
	return types
}

// filed wants every service to have published what it has emitted, and the gateway to have filed all of it, each once.
func (s *stage) filed(records []record) {
	s.t.Helper()
	published, ids := map[string]int{}, map[string]bool{}
	for _, r := range records {
		if !ids[r.id] {
			ids[r.id] = true
			published[strings.TrimPrefix(r.source, "/quadrille/")]++
		}
	}
	for service, n := range published {
		if emitted := s.count(service, `SELECT sum(emitted) FROM subject`); emitted != n {
			s.t.Errorf("%s has emitted %d events, and %d are on its topics", service, emitted, n)
		}
	}
	if n := s.count("gateway", `SELECT count(*) FROM event`); n != len(ids) {
		s.t.Errorf("the gateway has filed %d events of %d", n, len(ids))
	}
}

// conforming wants the gateway to have found nothing, once what came late is there.
func (s *stage) conforming() {
	s.t.Helper()
	s.eventually(func() error {
		var open, doubted int
		var text string
		s.query("gateway", `SELECT count(*), coalesce(min(rule || ' ' || subject || ': ' || detail), '') FROM finding WHERE cleared_at IS NULL`, &open, &text)
		s.query("gateway", `SELECT count(*) FROM conformance WHERE doubts <> '[]'`, &doubted)
		if open+doubted > 0 {
			return fmt.Errorf("%d events stand against the declared choreography, %d subjects are doubted: %s", open, doubted, text)
		}
		return nil
	})
}
