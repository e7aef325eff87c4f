package engine

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the engine's own; the service label is put on by the registerer.
type metrics struct {
	batchSize  *prometheus.HistogramVec
	batchTime  *prometheus.HistogramVec
	retries    *prometheus.CounterVec
	emitted    prometheus.Counter
	duplicates prometheus.Counter
	parked     prometheus.Counter
	stopped    prometheus.Gauge
	parkedNow  prometheus.Gauge
	oldestWait prometheus.Gauge
	calls      *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		batchSize: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "quadrille_batch_inputs", Help: "Inputs decided in one transaction, by lane.",
			Buckets: []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000},
		}, []string{"lane"}),
		batchTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "quadrille_batch_seconds", Help: "Time of one transaction, by lane.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}, []string{"lane"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quadrille_batch_failures_total", Help: "Transactions that failed, by lane and error class.",
		}, []string{"lane", "class"}),
		emitted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "quadrille_events_emitted_total", Help: "Events written to the outbox.",
		}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "quadrille_events_duplicate_total", Help: "Events that had been handled before.",
		}),
		parked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "quadrille_subjects_parked_total", Help: "Subjects parked because of an event that cannot be handled.",
		}),
		parkedNow: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quadrille_subjects_parked", Help: "Subjects parked now.",
		}),
		stopped: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quadrille_partitions_stopped", Help: "Partitions that stand still because too many subjects were parked.",
		}),
		oldestWait: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quadrille_consumer_oldest_seconds", Help: "Age of the oldest event polled and not yet handled.",
		}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quadrille_calls_total", Help: "Calls outside by kind and result (answered, retry).",
		}, []string{"kind", "result"}),
	}
	if reg != nil {
		reg.MustRegister(m.batchSize, m.batchTime, m.retries, m.emitted, m.duplicates, m.parked, m.parkedNow,
			m.stopped, m.oldestWait, m.calls)
	}
	return m
}

func (m *metrics) batch(lane string, inputs int, took time.Duration) {
	m.batchSize.WithLabelValues(lane).Observe(float64(inputs))
	m.batchTime.WithLabelValues(lane).Observe(took.Seconds())
}
