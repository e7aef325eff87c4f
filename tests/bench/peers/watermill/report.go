package main

import (
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// report is the one line on standard output.
type report struct {
	Name         string             `json:"name"`
	Orders       int                `json:"orders"`
	Seconds      float64            `json:"seconds"`
	PerSecond    float64            `json:"per_second"`
	WarmupOrders int                `json:"warmup_orders"`
	Settings     map[string]string  `json:"settings"`
	LatencyMS    map[string]float64 `json:"latency_ms"`
	Checks       map[string]int64   `json:"checks"`
}

// outcome is what a run of orders took: from the first one's start to the last
// one's completion, and each from its own start to its own completion.
type outcome struct {
	took      time.Duration
	latencies []time.Duration
}

func newReport(cfg config, o outcome, checks map[string]int64) report {
	slices.Sort(o.latencies)
	return report{
		Name:         "watermill",
		Orders:       cfg.orders,
		Seconds:      o.took.Seconds(),
		PerSecond:    float64(cfg.orders) / o.took.Seconds(),
		WarmupOrders: cfg.warmup,
		Settings:     cfg.settings(),
		LatencyMS: map[string]float64{
			"p50": percentile(o.latencies, 50),
			"p95": percentile(o.latencies, 95),
			"p99": percentile(o.latencies, 99),
		},
		Checks: checks,
	}
}

// percentile returns the value, in milliseconds, that p of 100 sorted values do
// not exceed (nearest rank).
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return float64(sorted[rank-1].Microseconds()) / 1000
}

// versions names the libraries this was built with.
func versions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	var found []string
	for _, dep := range info.Deps {
		for _, name := range []string{"ThreeDotsLabs/watermill", "IBM/sarama", "jackc/pgx"} {
			if strings.Contains(dep.Path, name) {
				found = append(found, strings.TrimPrefix(dep.Path, "github.com/")+" "+dep.Version)
			}
		}
	}
	return strings.Join(append(found, info.GoVersion), ", ")
}
