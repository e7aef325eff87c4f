package service

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/choreography"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
)

const (
	// conformanceEvery is how often findings are counted and logged.
	conformanceEvery = time.Second
	// findingsAtOnce bounds what is logged in one go.
	findingsAtOnce = 1000
)

// gatewayRules is the declared choreography as it is compiled in: events of a newer version of a service are judged
// once the gateway is that new too, so it is upgraded first.
func gatewayRules(grace time.Duration) *gateway.Rules {
	return gateway.NewRules(choreography.Topologies(), grace)
}

// auditor tells what was found on the topics: a log line and a count each, and how many stand. Of several replicas one
// tells of a finding; what stands is read from the database, so every replica's gauge says the same.
type auditor struct {
	server     *server
	violations *prometheus.CounterVec
	open       *prometheus.GaugeVec
}

func newAuditor(s *server) *auditor {
	return &auditor{
		server: s,
		violations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quadrille_conformance_violations_total",
			Help: "Events found against the declared choreography, by rule. Summed over replicas.",
		}, []string{"rule"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "quadrille_conformance_violations_open",
			Help: "Events that stand against the declared choreography, by rule. The same in every replica.",
		}, []string{"rule"}),
	}
}

// rules are named beforehand, so that a count of 0 is a count and not a missing series.
var rules = []gateway.Rule{gateway.Undeclared, gateway.Gap, gateway.StepBack, gateway.Cause}

func (a *auditor) run(ctx context.Context) error {
	if err := a.register(); err != nil {
		return err
	}
	tick := time.NewTicker(conformanceEvery)
	defer tick.Stop()
	for {
		if err := a.look(ctx); err != nil && ctx.Err() == nil {
			a.server.host.Log.Warn("look at findings", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *auditor) register() error {
	for _, rule := range rules {
		a.violations.WithLabelValues(string(rule))
	}
	for _, c := range []prometheus.Collector{a.violations, a.open} {
		if err := a.server.host.Registerer.Register(c); err != nil {
			return fmt.Errorf("register conformance metrics: %w", err)
		}
	}
	return nil
}

func (a *auditor) look(ctx context.Context) error {
	found, err := store.TakeFindings(ctx, a.server.host.Pool, findingsAtOnce)
	if err != nil {
		return err
	}
	for _, f := range found {
		a.violations.WithLabelValues(string(f.Rule)).Inc()
		a.server.host.Log.Warn("event against the declared choreography", "rule", f.Rule, "subject", f.Subject,
			"event_id", f.EventID, "detail", f.Detail)
	}
	open, err := store.Open(ctx, a.server.host.Pool)
	if err != nil {
		return err
	}
	counts := map[gateway.Rule]int{}
	for _, o := range open {
		counts[o.Rule] = o.Count
	}
	for _, rule := range rules {
		a.open.WithLabelValues(string(rule)).Set(float64(counts[rule]))
	}
	return nil
}

// noticeText tells operators what each rule means and what to do.
var noticeText = map[gateway.Rule]string{
	gateway.Undeclared: "Events that no service declares were published within the last day: somebody forges them, or a service is newer than the gateway.",
	gateway.Gap:        "Numbers are missing between the events of these: an event was lost, or is on a topic that the gateway does not read.",
	gateway.StepBack:   "Events of these came twice under two ids or in the wrong order within the last day: look at who writes to the topic, and at its partitions.",
	gateway.Cause:      "The causes of these events have not come: an event was lost, or these are forged.",
}

// notices tells operators of each rule that something stands against. What never clears is told of for a day.
func notices(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
	open, err := store.Open(ctx, pool)
	if err != nil {
		return nil, err
	}
	var all []host.Notice
	for _, o := range open {
		if o.Recent > 0 {
			all = append(all, host.Notice{
				Group: "conformance/" + string(o.Rule), Text: noticeText[o.Rule],
				Subjects: o.Subjects, Count: o.Recent, Since: o.Since,
			})
		}
	}
	return all, nil
}
