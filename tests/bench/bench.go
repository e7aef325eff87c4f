package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Options of a run.
type Options struct {
	// Dir takes the data, of the servers too; it is emptied at the end. Root is the repository.
	Dir, Root string
	// Runs is how often each rate is measured, and Orders how many orders each time. The figures are medians.
	Runs, Orders int
	// Warm is how many orders come before the first measurement.
	Warm int
	// FloorBatch is how many orders the floor writes in one transaction.
	FloorBatch int
	// Backlog is how many events pile up before they are drained.
	Backlog int
	// Peers runs Watermill and Temporal too; PastOrders fills the tables first.
	Peers      bool
	PastOrders int
	// SideOrders: shipping, mailer and gateway have only so many of them; 0 is all.
	SideOrders int
	// Only runs the measurements whose name matches.
	Only *regexp.Regexp
	// Screen is told what happens.
	Screen io.Writer
}

// Bench is one run of all measurements, in turn: what they are compared with is measured beside them.
type Bench struct {
	opts   Options
	site   *Site
	system *System
	shop   Shop
	result Result
	floor  string // the program
}

// measurement is one entry of the list.
type measurement struct {
	name string
	run  func(*Bench, context.Context) error
	// each: once per round, in turn with the others; else once.
	each bool
}

var measurements = []measurement{
	{"floor", (*Bench).measureFloor, true},
	{"feed", (*Bench).measureFeed, true},
	{"rest", (*Bench).measureREST, true},
	{"hot", (*Bench).measureHot, true},
	{"soldout", (*Bench).measureSoldOut, true},
	{"idle", (*Bench).measureIdle, false},
	{"low", (*Bench).measureLow, false},
	{"half", (*Bench).measureHalf, true},
	{"backlog", (*Bench).measureBacklog, false},
	{"naive", (*Bench).measureNaive, false},
	{"watermill", (*Bench).measureWatermill, true},
	{"temporal", (*Bench).measureTemporal, true},
}

// Run measures everything that is asked for.
func Run(ctx context.Context, o Options) (_ Result, err error) {
	b := &Bench{opts: o, shop: Shop{Members: 1_000, Products: 1_000, SoldOut: 1}}
	b.result = newResult(ctx, o)
	b.say("starting PostgreSQL and Apache Kafka")
	if b.site, err = OpenSite(ctx, o.Dir, nil); err != nil {
		return b.result, err
	}
	defer func() { err = errors.Join(err, b.site.Close()) }()
	b.result.describe(ctx, b.site, o)
	if b.floor, err = b.build(ctx, "tests", "./bench/floor/cmd/floor", "floor"); err != nil {
		return b.result, err
	}
	b.say("starting the services")
	if b.system, err = b.site.StartSystem(ctx, "q", Serving{Partitions: partitions, Shop: b.shop, CallSlots: bookings}); err != nil {
		return b.result, err
	}
	err = b.rounds(ctx)
	if stopErr := b.system.Stop(); err == nil {
		err = stopErr
	}
	if err == nil && o.wants("history") {
		b.say(fmt.Sprintf("history: %d past orders", o.PastOrders))
		err = b.measureHistory(ctx)
	}
	b.result.conclude()
	return b.result, err
}

// rounds takes every measurement in turn, as often as it is asked for.
func (b *Bench) rounds(ctx context.Context) error {
	o := b.opts
	if err := b.warmUp(ctx); err != nil {
		return err
	}
	var errs []error
	for round := range o.Runs {
		for _, m := range measurements {
			if !m.each && round > 0 || !o.wants(m.name) {
				continue
			}
			b.say(fmt.Sprintf("%d/%d %s", round+1, o.Runs, m.name))
			if err := m.run(b, ctx); err != nil {
				// The others say something still; the run fails at its end.
				b.say(fmt.Sprintf("  %s failed: %v", m.name, err))
				errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return errors.Join(errs...)
}

func (o Options) wants(name string) bool {
	switch {
	case o.Only != nil && !o.Only.MatchString(name):
		return false
	case name == "watermill", name == "temporal":
		return o.Peers
	case name == "history":
		return o.PastOrders > 0
	}
	return true
}

// partitions of every topic: as many as the services have where nothing is configured.
const partitions = 12

// bookings is how many parcels are booked at once.
const bookings = 32

// fullWindow is how many orders are under way when the highest rate is looked for.
const fullWindow = 6_000

func (b *Bench) say(what string) {
	fmt.Fprintf(b.opts.Screen, "\r\033[K%s %s\n", time.Now().Format("15:04:05"), what)
}

func (b *Bench) progress(done, total int) { fmt.Fprintf(b.opts.Screen, "\r\033[K  %d/%d", done, total) }

// build makes a program of one of the modules.
func (b *Bench) build(ctx context.Context, module, pkg, name string, env ...string) (string, error) {
	b.say("building " + name)
	program := filepath.Join(b.opts.Dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, pkg)
	cmd.Dir = filepath.Join(b.opts.Root, filepath.FromSlash(module))
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return program, nil
}

// Reference is what a contender's program says at its end.
type Reference struct {
	Name          string         `json:"name"`
	Orders        int            `json:"orders"`
	Seconds       float64        `json:"seconds"`
	PerSecond     float64        `json:"per_second"`
	Settings      map[string]any `json:"settings,omitempty"`
	Latency       Latency        `json:"latency_ms"`
	CPUPostgresUs float64        `json:"postgres_us"`
	CPUKafkaUs    float64        `json:"kafka_us"`
	CPUProgramUs  float64        `json:"program_us"`
}

// contend runs a contender's program on databases and topics of its own.
func (b *Bench) contend(ctx context.Context, program string, orders int, args ...string) (Reference, error) {
	round := len(b.result.Runs) + len(b.result.References)
	args = append([]string{
		"-database", b.site.Postgres.AdminURL("postgres"), "-brokers", strings.Join(b.site.Kafka.Addrs(), ","),
		"-prefix", fmt.Sprintf("%s%d-", filepath.Base(program), round), "-orders", fmt.Sprint(orders), "-seed", fmt.Sprint(round),
	}, args...)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	var out, noise bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &noise
	before, err := b.serverTimes()
	if err != nil {
		return Reference{}, err
	}
	if err := cmd.Run(); err != nil {
		text := noise.String()
		return Reference{}, fmt.Errorf("%w\n%s", err, text[max(0, len(text)-3000):])
	}
	after, err := b.serverTimes()
	if err != nil {
		return Reference{}, err
	}
	var r Reference
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("read what %s says: %w", filepath.Base(program), err)
	}
	// With its warm-up and its start: an upper bound.
	n := float64(max(1, orders))
	r.CPUPostgresUs = float64((after.postgres - before.postgres).Microseconds()) / n
	r.CPUKafkaUs = float64((after.kafka - before.kafka).Microseconds()) / n
	r.CPUProgramUs = float64((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Microseconds()) / n
	return r, nil
}

func (b *Bench) serverTimes() (m meter, err error) {
	if m.postgres, err = CPU(b.site.Postgres.Pid()); err != nil {
		return m, err
	}
	m.kafka, err = CPU(b.site.Kafka.Pid())
	return m, err
}
