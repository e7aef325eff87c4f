package service

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrille-io/quadrille/services/dataplatform/internal/store"
)

// metrics of the export. Those of how far it is are told by every replica, elected or not: who stands by may be the one
// that is well.
type metrics struct {
	elected, lag, waiting, open prometheus.Gauge
	batches                     *prometheus.CounterVec
	facts                       prometheus.Counter
	seconds                     prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "quadrille_export_" + name, Help: help})
	}
	m := &metrics{
		elected: gauge("elected", "1 if this replica exports."),
		lag:     gauge("lag_seconds", "Age of the oldest fact that the data platform has not taken; 0 if it has all."),
		waiting: gauge("waiting_facts", "Facts that the data platform has not taken, at most."),
		open:    gauge("breaker_open", "1 while nothing is sent, as the data platform does not work."),
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quadrille_export_batches_total", Help: "Attempts to send a batch, by stream (live, replay) and outcome (taken, refused, failed).",
		}, []string{"stream", "outcome"}),
		facts: prometheus.NewCounter(prometheus.CounterOpts{Name: "quadrille_export_facts_total", Help: "Facts that the data platform has taken."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "quadrille_export_seconds", Help: "How long the data platform took to take a batch.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}),
	}
	for _, c := range []prometheus.Collector{m.elected, m.lag, m.waiting, m.open, m.batches, m.facts, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the export's metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) watermark(w store.Watermark) {
	m.lag.Set(w.Lag.Seconds())
	m.waiting.Set(float64(waiting(w)))
}

// waiting is how many facts the platform has not taken, at most: positions have gaps.
func waiting(w store.Watermark) int64 {
	if w.Oldest == nil {
		return 0
	}
	return w.Position - w.Exported
}
