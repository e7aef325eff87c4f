package outbox

import (
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics is one relay's collector.
type metrics struct {
	published prometheus.Counter
	errors    *prometheus.CounterVec
	elected   prometheus.Gauge
	dead      prometheus.Gauge
	batch     prometheus.Histogram
	age       prometheus.GaugeFunc
	oldest    atomic.Int64 // Unix nanoseconds; 0 for none
}

func newMetrics() *metrics {
	m := &metrics{
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "outbox_rows_published_total",
			Help: "Events acknowledged by the brokers and deleted from the outbox.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outbox_publish_errors_total",
			Help: "Batches that were not all taken, by Kafka's name of the error; data_loss: a broker lost acknowledged records; stalled: no answer.",
		}, []string{"class"}),
		elected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "relay_elected",
			Help: "1 where this relay is the one that publishes, else 0. The sum over a service's replicas should be 1.",
		}),
		dead: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outbox_dead_tuples",
			Help: "Deleted outbox rows that vacuum has not taken away yet. Rising for long: something holds an old snapshot.",
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "outbox_batch_rows",
			Help:    "Events published per batch.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000},
		}),
	}
	m.age = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "outbox_oldest_age_seconds",
		Help: "Age of the oldest event that is not published, 0 if there is none. Relays that stand by report it as well: alert on the maximum.",
	}, m.oldestAge)
	return m
}

// waiting notes which event is the oldest that waits; uuid.Nil for none. The gauge grows from it
// between two looks, for a relay that hangs does not look.
func (m *metrics) waiting(event uuid.UUID) {
	switch {
	case event == uuid.Nil:
		m.oldest.Store(0)
	case event.Version() == 7:
		sec, nsec := event.Time().UnixTime()
		m.oldest.Store(time.Unix(sec, nsec).UnixNano())
	default:
		m.oldest.CompareAndSwap(0, time.Now().UnixNano())
	}
}

func (m *metrics) oldestAge() float64 {
	since := m.oldest.Load()
	if since == 0 {
		return 0
	}
	return max(0, time.Since(time.Unix(0, since)).Seconds())
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.published, m.errors, m.elected, m.dead, m.batch, m.age}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
}
