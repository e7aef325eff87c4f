package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/order/internal/store"
)

// scrapeTimeout bounds the look at the database: whoever scrapes waits for it.
const scrapeTimeout = 2 * time.Second

// waiting tells how long orders have been waiting, by the step they wait for. It looks when it is asked, so
// that what it says is never older than the scrape; every replica says the same. A step that nobody waits
// for is 0 and not missing: an alert has to see that it is over.
type waiting struct {
	reader store.Reader
	oldest *prometheus.Desc
	orders *prometheus.Desc
}

func newWaiting(reader store.Reader) *waiting {
	return &waiting{
		reader: reader,
		oldest: prometheus.NewDesc("quadrille_oldest_waiting_order_seconds",
			"How long ago the order last moved that has stood still longest, by the step it waits for; 0: nobody waits.", []string{"progress"}, nil),
		orders: prometheus.NewDesc("quadrille_waiting_orders",
			"Orders under way, by the step they wait for.", []string{"progress"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (w *waiting) Describe(to chan<- *prometheus.Desc) { to <- w.oldest; to <- w.orders }

// Collect implements prometheus.Collector.
func (w *waiting) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	rows, err := w.reader.Waiting(ctx)
	if err != nil {
		// Nothing is better than 0, which would say that nobody waits.
		slog.Warn("measure waiting orders", "error", err)
		return
	}
	at := map[string]store.Waiting{}
	for _, row := range rows {
		at[row.Progress] = row
	}
	for _, step := range steps {
		if step == order.AtNothing || step == order.AtShipping {
			continue
		}
		row := at[string(step)]
		to <- prometheus.MustNewConstMetric(w.oldest, prometheus.GaugeValue, max(0, row.Oldest), string(step))
		to <- prometheus.MustNewConstMetric(w.orders, prometheus.GaugeValue, float64(row.Orders), string(step))
	}
}
