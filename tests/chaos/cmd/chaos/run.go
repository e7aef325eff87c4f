package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/check"
	"github.com/quadrille-io/quadrille/tests/chaos/client"
	"github.com/quadrille-io/quadrille/tests/chaos/history"
	"github.com/quadrille-io/quadrille/tests/chaos/nemesis"
	"github.com/quadrille-io/quadrille/tests/chaos/report"
	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// stage is a run in the making.
type stage struct {
	options
	log     *slog.Logger
	cluster *cluster.Cluster
	client  *client.Client
	history *history.Writer
	run     report.Run
}

const (
	// startTime is enough to build all programs on a busy machine.
	startTime = 15 * time.Minute
	// calm is how long the system works undisturbed before the first fault.
	calm = 5 * time.Second
	// restTime is how long all that no order waits for may take: mails, refunds, what is parked.
	restTime = 5 * time.Minute
)

// serviceEnvironment: parcels leave when the client's van drives, and not by themselves.
var serviceEnvironment = map[string]map[string]string{"simulator": {"CARRIER_DELAY": "-1s"}}

// run makes one run and its report; false means that it did not pass.
func run(ctx context.Context, o options, log *slog.Logger) (passed bool, err error) {
	out, err := filepath.Abs(o.out)
	if err != nil {
		return false, err
	}
	data := filepath.Join(out, "data")
	if err := errors.Join(os.RemoveAll(data), os.MkdirAll(data, 0o755)); err != nil {
		return false, fmt.Errorf("make folder: %w", err)
	}
	s := &stage{options: o, log: log, run: describe(o)}
	s.out = out
	if err := s.start(ctx, data); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.close(data, passed)) }()
	if err := s.disturb(ctx); err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		s.run.Errors = append(s.run.Errors, err.Error())
	}
	evidence, err := s.collect(ctx)
	if err != nil {
		return false, err
	}
	r := s.report(evidence)
	if err := report.Write(out, r); err != nil {
		return false, err
	}
	summary(r)
	if !r.Passed() {
		return false, dump(filepath.Join(out, "topics.jsonl"), evidence.Events)
	}
	return true, nil
}

func describe(o options) report.Run {
	r := report.Run{
		Seed: o.seed, For: o.long, Replicas: o.replicas, Members: o.members, Rate: o.rate, Begin: time.Now().UTC(),
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(),
		LeastFaults: o.faults, LeastOrders: o.orders, Commit: commit(),
	}
	if meminfo, err := os.ReadFile("/proc/meminfo"); err == nil {
		if fields := strings.Fields(string(meminfo)); len(fields) > 1 {
			kilobytes, _ := strconv.Atoi(fields[1]) // 0 GiB says enough
			r.Memory = fmt.Sprintf("%d GiB", (kilobytes+1<<19)>>20)
		}
	}
	return r
}

// commit is the tree's, with a + where it was changed since.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--abbrev=10", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func (s *stage) start(ctx context.Context, data string) (err error) {
	starting, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	s.log.Info("starting the cluster", "replicas", s.replicas, "folder", data)
	s.cluster, err = cluster.Start(starting, cluster.Options{
		Dir: data, Replicas: s.replicas, Members: s.members, Proxied: true, Race: s.race, Overlay: s.overlay,
		ServiceEnvironment: serviceEnvironment, Log: s.log.With("part", "cluster"),
	})
	if err != nil {
		return err
	}
	if s.history, err = history.Create(filepath.Join(s.out, "history.jsonl")); err == nil {
		s.client = client.New(client.Options{
			Gateways: s.cluster.Gateways(), Members: s.cluster.Members(), Token: tokens(s.cluster), OperatorToken: s.cluster.OperatorToken(),
			CarrierURL: s.cluster.Carrier(), Rate: s.rate, Seed: s.seed, History: s.history, Log: s.log.With("part", "client"),
		})
		err = s.client.Prepare(starting)
	}
	if err != nil {
		return errors.Join(err, s.cluster.Close())
	}
	return nil
}

// tokens signs each member's token once.
func tokens(c *cluster.Cluster) func(string) string {
	var signed sync.Map
	return func(member string) string {
		if token, known := signed.Load(member); known {
			return token.(string)
		}
		token := c.Token(member)
		signed.Store(member, token)
		return token
	}
}

// disturb lets customers come and things break until the time is over and everything is whole again.
func (s *stage) disturb(ctx context.Context) error {
	s.run.Begin = time.Now().UTC()
	shopping, closing := context.WithCancel(ctx)
	defer closing()
	var clients sync.WaitGroup
	var clientErr error
	clients.Go(func() { clientErr = s.client.Run(shopping) })
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	clients.Go(func() {
		for shopping.Err() == nil {
			select {
			case <-tick.C:
				s.log.Info("so far", "accepted", s.client.Accepted(), "deaths", len(s.cluster.Deaths()))
			case <-shopping.Done():
			}
		}
	})
	select {
	case <-time.After(calm):
	case <-ctx.Done():
	}
	err := nemesis.Run(ctx, s.cluster, nemesis.Plan{
		Seed: s.seed, For: s.long, Rest: s.rest, Log: s.log.With("part", "nemesis"),
		On: func(f nemesis.Fault) { s.run.Faults = append(s.run.Faults, f) },
	})
	closing()
	clients.Wait()
	return errors.Join(err, clientErr, ctx.Err())
}

// collect waits until the system is at rest and reads what is left of the run.
func (s *stage) collect(ctx context.Context) (*check.Evidence, error) {
	if err := s.history.Close(); err != nil {
		s.run.Errors = append(s.run.Errors, err.Error())
	}
	source := check.Source{
		History: filepath.Join(s.out, "history.jsonl"), Brokers: s.cluster.Brokers(), Databases: map[string]string{},
		PaymentURL: s.cluster.Simulator(), CarrierURL: s.cluster.Carrier(),
	}
	for _, service := range cluster.Services() {
		source.Databases[service] = s.cluster.DatabaseURL(service)
	}
	last := s.lastFault()
	told := time.Time{}
	final, quiet, err := check.Await(ctx, source, time.Until(last.Add(check.FinalWithin)), restTime, func(p check.Progress) {
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			s.log.Info("waiting until all is final", "open", p.Open, "left", p.Left)
		}
	})
	if err != nil {
		return nil, err
	}
	s.log.Info("reading topics, tables and books")
	evidence, err := gather(ctx, source, s.log)
	if err != nil {
		return nil, err
	}
	evidence.LastFault, evidence.FinalAt, evidence.QuietAt, evidence.Deaths = last, final, quiet, s.deaths()
	return evidence, check.Save(filepath.Join(s.out, evidenceFile), evidence)
}

func (s *stage) lastFault() time.Time {
	last := s.run.Begin
	for _, f := range s.run.Faults {
		if f.End.After(last) {
			last = f.End
		}
	}
	return last
}

// gather reads the evidence, and again where that fails: an hour's work must not be lost to one connection.
func gather(ctx context.Context, source check.Source, log *slog.Logger) (*check.Evidence, error) {
	for try := 1; ; try++ {
		evidence, err := check.Collect(ctx, source)
		if err == nil || try == 3 || ctx.Err() != nil {
			return evidence, err
		}
		log.Warn("the evidence could not be read; once more", "error", err)
	}
}

// aftermath is how long after a fault a process may still end because of it: services started again find
// their database in recovery, and wait longer and longer between two tries.
const aftermath = time.Minute

// deaths tells those that a fault explains from the others.
func (s *stage) deaths() []check.Death {
	var deaths []check.Death
	for _, d := range s.cluster.Deaths() {
		explained := slices.ContainsFunc(s.run.Faults, func(f nemesis.Fault) bool {
			return !d.At.Before(f.Begin) && !d.At.After(f.Ready.Add(aftermath))
		})
		deaths = append(deaths, check.Death{
			Process: fmt.Sprintf("%s-%d", d.Service, d.Replica), At: d.At, How: d.How, Tail: d.Tail, Undisturbed: !explained,
		})
	}
	return deaths
}

func (s *stage) report(e *check.Evidence) report.Report {
	s.run.Deaths, s.run.End = s.cluster.Deaths(), time.Now().UTC()
	s.run.Environment = map[string]string{}
	for service, env := range serviceEnvironment {
		for name, value := range env {
			s.run.Environment[service+" "+name] = value
		}
	}
	s.log.Info("judging", "orders", len(e.Orders), "events", len(e.Events), "calls", len(e.Calls))
	r := report.Of(s.run, e, check.Judge(e))
	debug.FreeOSMemory()
	return r
}

func summary(r report.Report) {
	fmt.Printf("%s: %d orders accepted, %d faults, longest time to final after the last fault %s\n", r.Verdict, r.Accepted, r.FaultsDone,
		time.Duration(r.LastToFinalMS)*time.Millisecond)
	tell(r.Violations)
}

// tell prints the first violations of each rule.
func tell(violations []check.Violation) {
	shown := map[string]int{}
	for _, v := range violations {
		if shown[v.Rule]++; shown[v.Rule] <= 3 {
			fmt.Printf("  %s %s: %s\n", v.Rule, v.Order, v.Sentence)
		}
	}
}

// close ends the cluster. What a person needs to find out what went wrong stays; a run that passed leaves
// its report alone, unless it is asked for more.
func (s *stage) close(data string, passed bool) error {
	err := s.cluster.Close()
	if !passed || s.keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(data), os.Remove(filepath.Join(s.out, "history.jsonl")), os.Remove(filepath.Join(s.out, evidenceFile)))
}

// evidenceFile is everything a run left behind, for -judge.
const evidenceFile = "evidence.gob.gz"

// rejudge judges the evidence of an earlier run again.
func rejudge(path string) error {
	e, err := check.Load(path)
	if err != nil {
		return err
	}
	violations := check.Judge(e)
	fmt.Printf("%d violations, %d orders, %d events, %d calls\n", len(violations), len(e.Orders), len(e.Events), len(e.Calls))
	tell(violations)
	if len(violations) > 0 {
		return errors.New("promises were broken")
	}
	return nil
}
