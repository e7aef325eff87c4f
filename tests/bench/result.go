package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Named is a measurement under its name.
type Named struct {
	Name string `json:"name"`
	Measured
}

// Machine is what it was measured on.
type Machine struct {
	Cores    int    `json:"cores"`
	CPU      string `json:"cpu"`
	MemoryMB int64  `json:"memory_mb"`
	Kernel   string `json:"kernel"`
	Go       string `json:"go"`
	Postgres string `json:"postgresql"`
	Kafka    string `json:"kafka"`
}

// Figures are medians over the runs, and what follows from them.
type Figures struct {
	FloorPerSecond   float64 `json:"floor_per_second"`
	FeedPerSecond    float64 `json:"feed_per_second"`
	FeedAtRest       float64 `json:"feed_per_second_to_rest"`
	RESTPerSecond    float64 `json:"rest_per_second"`
	RatioToFloor     float64 `json:"ratio_to_floor"`
	RatioToNaive     float64 `json:"ratio_to_naive,omitempty"`
	RatioToWatermill float64 `json:"ratio_to_watermill,omitempty"`
	RatioToTemporal  float64 `json:"ratio_to_temporal,omitempty"`
	RatioRESTToFloor float64 `json:"ratio_rest_to_floor"`
	RatioHot         float64 `json:"ratio_hot_product"`
	RatioSoldOut     float64 `json:"ratio_sold_out"`
	RatioHistory     float64 `json:"ratio_with_past_orders,omitempty"`
	RatioBacklog     float64 `json:"ratio_backlog"`
	// GrowthAfter is the live memory after the backlog as a multiple of that before, GrowthDraining that of the second
	// half of its end as a multiple of the first half's.
	GrowthAfter    float64 `json:"ratio_memory_after_backlog"`
	GrowthDraining float64 `json:"ratio_memory_second_half"`
	Low            Latency `json:"ten_a_second_final_ms"`
	LowAccepted    Latency `json:"ten_a_second_accepted_ms"`
	Half           Latency `json:"half_load_final_ms"`
	HalfAccepted   Latency `json:"half_load_accepted_ms"`
	DatabaseBytes  float64 `json:"database_bytes_per_order"`
	KafkaBytes     float64 `json:"kafka_bytes_per_order"`
}

// Goal is one line of the table.
type Goal struct {
	Name     string `json:"name"`
	Goal     string `json:"goal"`
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
}

// Result is everything a run found out.
type Result struct {
	Time        time.Time         `json:"time"`
	Commit      string            `json:"commit"`
	Machine     Machine           `json:"machine"`
	Settings    map[string]string `json:"settings"`
	Figures     Figures           `json:"figures"`
	Goals       []Goal            `json:"goals"`
	IdlePercent float64           `json:"idle_percent_of_a_core"`
	Backlog     Backlog           `json:"backlog"`
	History     *History          `json:"history,omitempty"`
	Runs        []Named           `json:"runs"`
	References  []Reference       `json:"references"`
}

func newResult(ctx context.Context, o Options) Result {
	r := Result{Time: time.Now().UTC().Truncate(time.Second), Settings: map[string]string{}}
	out, err := exec.CommandContext(ctx, "git", "-C", o.Root, "describe", "--always", "--dirty", "--abbrev=10").Output()
	if err == nil {
		r.Commit = strings.TrimSpace(string(out))
	}
	r.Machine = Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: fromFile("/proc/cpuinfo", "model name"), Kernel: firstLine("/proc/sys/kernel/osrelease"), Kafka: "4.1.1"}
	if kb, err := strconv.ParseInt(strings.TrimSuffix(fromFile("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		r.Machine.MemoryMB = kb / 1024
	}
	return r
}

func firstLine(path string) string {
	raw, _ := os.ReadFile(path) // not on every system
	line, _, _ := strings.Cut(string(raw), "\n")
	return line
}

// fromFile finds "key : value".
func fromFile(path, key string) string {
	raw, _ := os.ReadFile(path) // not on every system
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// describe notes the database's settings that matter.
func (r *Result) describe(ctx context.Context, s *Site, o Options) {
	conn, err := pgx.Connect(ctx, s.Postgres.AdminURL("postgres"))
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	_ = conn.QueryRow(ctx, `SHOW server_version`).Scan(&r.Machine.Postgres)
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "wal_level", "max_wal_size", "checkpoint_timeout"} {
		var value string
		_ = conn.QueryRow(ctx, `SELECT current_setting($1)`, name).Scan(&value)
		r.Settings[name] = value
	}
	r.Settings["partitions"] = fmt.Sprint(partitions)
	r.Settings["acks"] = "all"
	r.Settings["window"], r.Settings["connections"] = fmt.Sprint(fullWindow), fmt.Sprint(connections)
	r.Settings["bookings at once"] = fmt.Sprint(bookings)
	r.Settings["warm-up orders"] = fmt.Sprint(o.Warm)
	r.Settings["simulators"] = "in a process of their own"
	r.Settings["floor batch"] = fmt.Sprint(o.FloorBatch)
	r.Settings["products"], r.Settings["members"] = "1000", "1000"
}

func perSecond(m Measured) float64 { return m.PerSecond }

// median over the runs of that name; 0 if there are none.
func (r *Result) median(name string, of func(Measured) float64) float64 {
	var all []float64
	for _, run := range r.Runs {
		if run.Name == name {
			all = append(all, of(run.Measured))
		}
	}
	return median(all)
}

func (r *Result) reference(name string) float64 {
	var all []float64
	for _, run := range r.References {
		if run.Name == name {
			all = append(all, run.PerSecond)
		}
	}
	return median(all)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// latency is the median of each quantile.
func (r *Result) latency(name string, of func(Measured) Latency) Latency {
	q := func(pick func(Latency) float64) float64 {
		return r.median(name, func(m Measured) float64 { return pick(of(m)) })
	}
	return Latency{
		P50: q(func(l Latency) float64 { return l.P50 }), P95: q(func(l Latency) float64 { return l.P95 }),
		P99: q(func(l Latency) float64 { return l.P99 }), Max: q(func(l Latency) float64 { return l.Max }),
	}
}

// conclude works out the figures and holds them against the goals.
func (r *Result) conclude() {
	f := &r.Figures
	final, accepted := func(m Measured) Latency { return m.Final }, func(m Measured) Latency { return m.Accepted }
	f.FloorPerSecond, f.FeedPerSecond = r.reference("floor"), r.median("feed", perSecond)
	f.FeedAtRest = r.median("feed", func(m Measured) float64 { return m.PerSecondAtRest })
	f.RESTPerSecond = r.median("rest", perSecond)
	f.RatioToFloor, f.RatioRESTToFloor = ratio(f.FeedPerSecond, f.FloorPerSecond), ratio(f.RESTPerSecond, f.FloorPerSecond)
	f.RatioToNaive = ratio(f.FeedPerSecond, r.median("naive", perSecond))
	f.RatioToWatermill, f.RatioToTemporal = ratio(f.FeedPerSecond, r.reference("watermill")), ratio(f.FeedPerSecond, r.reference("temporal"))
	f.RatioHot, f.RatioSoldOut = ratio(r.median("hot", perSecond), f.FeedPerSecond), ratio(r.median("soldout", perSecond), f.FeedPerSecond)
	f.RatioBacklog = ratio(r.Backlog.PerSecond, f.FeedAtRest)
	f.GrowthAfter, f.GrowthDraining = r.Backlog.growth()
	f.Low, f.LowAccepted = r.latency("low", final), r.latency("low", accepted)
	f.Half, f.HalfAccepted = r.latency("half", final), r.latency("half", accepted)
	f.DatabaseBytes = r.median("feed", func(m Measured) float64 { return m.Use.DatabaseBytes })
	f.KafkaBytes = r.median("feed", func(m Measured) float64 { return m.Use.KafkaBytes })
	if r.History != nil {
		f.RatioHistory = ratio(r.History.PerSecond, r.History.PerSecondEmpty)
	}
	r.Goals = goals(r)
}

// Write prints the result as JSON.
func (r *Result) Write(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

// Save writes the result beside those of other days.
func (r *Result) Save(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, r.Time.Format("2006-01-02-150405")+".json")
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := r.Write(file); err != nil {
		file.Close()
		return "", err
	}
	return path, file.Close()
}
