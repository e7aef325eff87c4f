package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// conforms publishes every event again, in order, as a relay does that was stopped for long, and wants the gateway to
// have found nothing against the declared choreography in all that these tests have done: what it missed for longer
// than the grace period, which is short here, has come.
func conforms(t *testing.T, s *shop) {
	s.publishAgain(t, s.everything(t))
	s.gatewayCaughtUp(t)
	for _, rule := range []string{"undeclared", "stepback"} {
		if n := s.metric(t, "gateway", "quadrille_conformance_violations_total", rule); n != 0 {
			t.Errorf("%v events were found against the rule %q", n, rule)
		}
	}
	testkit.Eventually(t, patience, func() error {
		for _, rule := range []string{"gap", "cause"} {
			if n := s.metric(t, "gateway", "quadrille_conformance_violations_open", rule); n != 0 {
				return fmt.Errorf("%v events stand against the rule %q: %s", n, rule, s.standing(t))
			}
		}
		return nil
	})
	var checked, doubted int
	pool := testkit.Pool(t, s.databases["gateway"])
	if err := pool.QueryRow(t.Context(), `
		SELECT count(*), count(*) FILTER (WHERE doubts <> '[]') FROM conformance`).Scan(&checked, &doubted); err != nil {
		t.Fatal(err)
	}
	if checked < 100 || doubted > 0 {
		t.Errorf("%d subjects were checked, %d are doubted", checked, doubted)
	}
}

// publishAgain puts records onto their partitions once more.
func (s *shop) publishAgain(t *testing.T, records []*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	again := make([]*kgo.Record, len(records))
	for i, r := range records {
		again[i] = &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
	}
	if err := client.ProduceSync(t.Context(), again...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// gatewayCaughtUp waits until the gateway has filed all that stands on the topics.
func (s *shop) gatewayCaughtUp(t *testing.T) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var names []string
	for _, name := range topics {
		names = append(names, s.prefix+name)
	}
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	pool := testkit.Pool(t, s.databases["gateway"])
	testkit.Eventually(t, patience, func() error {
		var behind int64
		ends.Each(func(end kadm.ListedOffset) {
			var next int64
			_ = pool.QueryRow(t.Context(), `SELECT coalesce(max(next_offset), 0) FROM fence WHERE topic = $1 AND partition = $2`,
				end.Topic, end.Partition).Scan(&next) // 0 then: behind
			behind += max(end.Offset-next, 0)
		})
		if behind > 0 {
			return fmt.Errorf("the gateway is %d events behind", behind)
		}
		return nil
	})
}

// metric is a service's sample with this rule.
func (s *shop) metric(t *testing.T, service, name, rule string) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.AdminURL(service)+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, `rule="`+rule+`"`) {
			n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s has no metric %s{rule=%q}", service, name, rule)
	return 0
}

// standing lists some findings for a person.
func (s *shop) standing(t *testing.T) (text string) {
	rows, err := testkit.Pool(t, s.databases["gateway"]).Query(context.Background(), `
		SELECT subject || ' ' || event_id || ' ' || rule || ': ' || detail FROM finding WHERE cleared_at IS NULL LIMIT 5`)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if rows.Scan(&line) == nil {
			text += "\n" + line
		}
	}
	return text
}
