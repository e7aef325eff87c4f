package deliver

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
)

// metrics count attempts; the zero value counts nothing.
type metrics struct {
	attempts *prometheus.CounterVec
	took     prometheus.Histogram
}

func (m *metrics) count(r store.Result) {
	if m.attempts == nil {
		return
	}
	outcome := "failed"
	switch {
	case r.Delivered:
		outcome = "delivered"
	case r.Gone:
		outcome = "gone"
	}
	m.attempts.WithLabelValues(outcome).Inc()
	m.took.Observe(r.Took.Seconds())
}

// Measure registers the sender's metrics: attempts by their end, how long they took, and what waits.
func (s *Sender) Measure(registerer prometheus.Registerer, pool *pgxpool.Pool) error {
	s.metrics.attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "quadrille_webhook_attempts_total", Help: "Attempts to deliver, by how they ended: delivered, failed, gone.",
	}, []string{"outcome"})
	s.metrics.took = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "quadrille_webhook_attempt_seconds", Help: "How long an attempt to deliver took.",
		Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10},
	})
	for _, c := range []prometheus.Collector{s.metrics.attempts, s.metrics.took, &backlog{pool: pool}} {
		if err := registerer.Register(c); err != nil {
			return err
		}
	}
	return nil
}

var (
	pendingDesc = prometheus.NewDesc("quadrille_webhook_pending", "Deliveries that wait for enabled endpoints, at most 100,000.", nil, nil)
	oldestDesc  = prometheus.NewDesc("quadrille_webhook_oldest_pending_seconds", "Age of the oldest of them.", nil, nil)
)

// backlog asks the database when it is asked.
type backlog struct{ pool *pgxpool.Pool }

// Describe implements prometheus.Collector.
func (b *backlog) Describe(out chan<- *prometheus.Desc) {
	out <- pendingDesc
	out <- oldestDesc
}

// Collect implements prometheus.Collector. A database that does not answer leaves the figures out.
func (b *backlog) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	waiting, err := store.PendingDeliveries(ctx, b.pool)
	if err != nil {
		return
	}
	out <- prometheus.MustNewConstMetric(pendingDesc, prometheus.GaugeValue, float64(waiting.Pending))
	out <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, waiting.Oldest.Seconds())
}
