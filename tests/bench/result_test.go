package bench

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// TestMain is also the program that burns CPU time, see TestCPUOfAChild, and the outside world, see fork.
func TestMain(m *testing.M) {
	if os.Getenv("BURN") != "" {
		burn()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "simulate" {
		run.Main(func(ctx context.Context) error {
			var cfg Simulating
			if err := json.NewDecoder(os.Stdin).Decode(&cfg); err != nil {
				return err
			}
			return Simulate(ctx, cfg, os.Stdout)
		})
	}
	testkit.Main(m)
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		all  []float64
		want float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{8, 1, 2, 4}, 3},
	} {
		if got := median(c.all); got != c.want {
			t.Errorf("median of %v is %v: want %v", c.all, got, c.want)
		}
	}
}

func named(name string, perSecond float64, final ...float64) Named {
	n := Named{Name: name}
	n.PerSecond, n.PerSecondAtRest = perSecond, perSecond/2
	n.Accepted = Latency{P50: 1}
	if len(final) > 0 {
		n.Final = Latency{P50: final[0], P99: 10 * final[0]}
	}
	n.Use = Use{DatabaseBytes: 3000, KafkaBytes: 800}
	return n
}

// measured is the result of three runs.
func measured() Result {
	return Result{
		Runs: []Named{
			named("feed", 3000), named("feed", 3200), named("feed", 100),
			named("rest", 1500), named("hot", 2700), named("soldout", 9000), named("naive", 100),
			named("low", 10, 20), named("half", 1500, 40), named("half", 1500, 90), named("half", 1500, 50),
		},
		References: []Reference{
			{Name: "floor", PerSecond: 5000},
			{Name: "floor", PerSecond: 6000},
			{Name: "floor", PerSecond: 7000},
			{Name: "watermill", PerSecond: 300},
		},
		IdlePercent: 1.5,
		Backlog: Backlog{
			PerSecond: 1200, Before: Memory{Live: 100}, Begun: Memory{Live: 400}, Ended: Memory{Live: 300}, After: Memory{Live: 150},
		},
	}
}

func TestConclude(t *testing.T) {
	t.Parallel()
	r := measured()
	r.conclude()
	want := Figures{
		FloorPerSecond: 6000, FeedPerSecond: 3000, FeedAtRest: 1500, RESTPerSecond: 1500,
		RatioToFloor: .5, RatioToNaive: 30, RatioToWatermill: 10, RatioRESTToFloor: .25,
		RatioHot: .9, RatioSoldOut: 3, RatioBacklog: .8,
		GrowthAfter: 1.5, GrowthDraining: .75,
		Low: Latency{P50: 20, P99: 200}, LowAccepted: Latency{P50: 1},
		Half: Latency{P50: 50, P99: 500}, HalfAccepted: Latency{P50: 1},
		DatabaseBytes: 3000, KafkaBytes: 800,
	}
	if r.Figures != want {
		t.Errorf("figures are\n%+v: want\n%+v", r.Figures, want)
	}
	met := map[string]bool{}
	for _, g := range r.Goals {
		met[g.Name] = g.Met
	}
	for name, want := range map[string]bool{
		"completed from the command feed": true, "completed through REST": true, "part of the floor": true,
		"times Watermill": true, "placed to COMPLETED at 10/s, p50": true,
		"placed to COMPLETED at half load, p50": true, "placed to COMPLETED at half load, p99": false,
		"one hot product, of the rate of a thousand": true, "sold-out refusals, times the rate of sales": true,
		"a backlog drained, of the full rate": false, "idle CPU of all services": true,
		"live memory after a backlog, times before": false, "live memory in the second half of draining it, times the first": true,
	} {
		if got, listed := met[name]; !listed || got != want {
			t.Errorf("goal %q is listed: %v, met: %v; want %v", name, listed, got, want)
		}
	}
	for _, name := range []string{"times Temporal", "with past orders, of the rate of empty tables"} {
		if _, listed := met[name]; listed {
			t.Errorf("goal %q is listed, and was not measured", name)
		}
	}
	if table := r.Table(); strings.Count(table, "missed") != 3 || !strings.Contains(table, "500.0 ms") {
		t.Errorf("the table does not say what was missed:\n%s", table)
	}
	r.History = &History{Runs: []Named{named("past", 900), named("fresh", 1000), named("past", 1800), named("fresh", 2000), named("past", 10)}}
	r.History.conclude()
	if r.conclude(); r.Figures.RatioHistory != .6 {
		t.Errorf("with a past it is %.2f of the rate without: want 900 of 1500, whatever the feed had", r.Figures.RatioHistory)
	}
}

// Only ratios count, and only where they are more than what noise does below those of the baseline.
func TestCheck(t *testing.T) {
	t.Parallel()
	base := measured()
	base.conclude()
	file := filepath.Join(t.TempDir(), "baseline.json")
	out, err := os.Create(file)
	if err == nil {
		err = base.Write(out)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*Figures)
		want   string
	}{
		{"the same", func(*Figures) {}, ""},
		{"a machine of half the speed", func(f *Figures) { f.FeedPerSecond, f.FloorPerSecond = f.FeedPerSecond/2, f.FloorPerSecond/2 }, ""},
		{"a little above the tolerance", func(f *Figures) { f.RatioToFloor *= 1.01 - Tolerance }, ""},
		{"less of the floor", func(f *Figures) { f.RatioToFloor *= .99 - Tolerance }, "ratio_to_floor"},
		{"less through REST", func(f *Figures) { f.RatioRESTToFloor *= .99 - Tolerance }, "ratio_rest_to_floor"},
		{"less of one product", func(f *Figures) { f.RatioHot *= .99 - Tolerance }, "ratio_hot_product"},
		{"fewer refusals", func(f *Figures) { f.RatioSoldOut *= .99 - Tolerance }, "ratio_sold_out"},
		{"not measured this time", func(f *Figures) { f.RatioHot = 0 }, ""},
	} {
		r := measured()
		r.conclude()
		c.change(&r.Figures)
		err := r.Check(file)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want+" is")) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	if err := (&Result{}).Check(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a baseline that is not there is taken for one that holds")
	}
}

// burn spends 0.2 s of CPU time of its own, in a child's child as well, says so, and waits to be ended.
func burn() {
	if os.Getenv("BURN") == "twice" {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "BURN=once")
		child.Stdin = strings.NewReader("")
		if err := child.Run(); err != nil {
			panic(err)
		}
	}
	for until := ownTime() + 200*time.Millisecond; ownTime() < until; {
	}
	_, _ = os.Stdout.WriteString("burnt\n")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// The time of a process is known to the hundredth of a second, with that of a child that has ended.
func TestCPUOfAChild(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for how, want := range map[string]time.Duration{"once": 200 * time.Millisecond, "twice": 400 * time.Millisecond} {
		child := exec.Command(program)
		child.Env = append(os.Environ(), "BURN="+how)
		in, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 6)); err != nil {
			t.Fatal(err)
		}
		got, err := CPU(child.Process.Pid)
		if err != nil {
			t.Error(err)
		}
		if got < want-30*time.Millisecond || got > want+200*time.Millisecond {
			t.Errorf("burnt %s: %v of CPU time; want about %v", how, got, want)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
		testkit.Eventually(t, 5*time.Second, func() error {
			if _, err := CPU(child.Process.Pid); err == nil {
				return errBusy
			}
			return nil
		})
	}
}
