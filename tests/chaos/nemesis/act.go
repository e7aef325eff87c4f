package nemesis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// act is how one fault is done and undone. end is called also when begin failed, and must bear that.
type act struct {
	target, detail string
	claims         []string
	begin, end     func(context.Context) error
	// ready are the processes that must be ready again.
	ready []*cluster.Process
}

// serverClaim: Kafka and PostgreSQL are not both down at once.
const serverClaim = "server"

func (n *nemesis) act(s Step) act { return specs[s.Kind].act(n, s) }

// process finds the step's replica; if it is gone meanwhile, the first of the service stands in.
func (n *nemesis) process(s Step) *cluster.Process {
	if p := n.cluster.Process(s.Service, s.Replica); p != nil {
		return p
	}
	return n.cluster.Replicas(s.Service)[0]
}

func starting(p *cluster.Process) func(context.Context) error {
	return func(context.Context) error { return p.Start() }
}

func (n *nemesis) kill(s Step) act {
	p := n.process(s)
	return act{
		target: p.Name(), claims: []string{p.Name()}, ready: []*cluster.Process{p}, end: starting(p),
		begin: func(context.Context) error { p.Kill(); return nil },
	}
}

func (n *nemesis) killAll(s Step) act {
	all := n.cluster.Replicas(s.Service)
	return act{
		target: s.Service, detail: fmt.Sprintf("%d replicas", len(all)), claims: names(all), ready: all,
		begin: func(context.Context) error {
			for _, p := range all {
				p.Kill()
			}
			return nil
		},
		end: func(context.Context) error {
			var errs []error
			for _, p := range all {
				errs = append(errs, p.Start())
			}
			return errors.Join(errs...)
		},
	}
}

func names(all []*cluster.Process) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.Name())
	}
	return out
}

func (n *nemesis) pause(s Step) act { return pausing(s, n.process(s), "") }

func pausing(s Step, p *cluster.Process, detail string) act {
	return act{
		target: p.Name(), detail: detail + s.Hold.String(), claims: []string{p.Name()}, ready: []*cluster.Process{p},
		begin: func(context.Context) error { return p.Pause() },
		end: func(context.Context) error {
			if !p.Paused() {
				return nil // it never was, or it was killed meanwhile
			}
			return p.Resume()
		},
	}
}

// pauseRelay pauses the replica whose relay is elected; the step's own replica, if nobody says so.
func (n *nemesis) pauseRelay(s Step) act {
	for _, p := range n.cluster.Replicas(s.Service) {
		if elected(p) {
			return pausing(s, p, "elected, ")
		}
	}
	return pausing(s, n.process(s), "")
}

var client = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// elected asks a replica's metrics whether its relay publishes.
func elected(p *cluster.Process) bool {
	res, err := client.Get(p.AdminURL() + "/metrics")
	if err != nil {
		return false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return err == nil && strings.Contains(string(body), "relay_elected 1")
}

func (n *nemesis) terminate(s Step) act {
	p := n.process(s)
	return act{
		target: p.Name(), claims: []string{p.Name()}, ready: []*cluster.Process{p}, end: starting(p),
		begin: func(ctx context.Context) error { return terminate(ctx, p) },
	}
}

// terminate allows a minute, twice what Kubernetes does by default: the machine may be busy. A process
// that ended with an error (requests that could not be finished, as PostgreSQL was away) is recorded by
// the cluster; the fault was done all the same.
func terminate(ctx context.Context, p *cluster.Process) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if err := p.Terminate(ctx); err != nil && ctx.Err() != nil {
		return err
	}
	return nil
}

func (n *nemesis) roll(s Step) act {
	all := n.cluster.Replicas(s.Service)
	return act{
		target: s.Service, detail: fmt.Sprintf("%d replicas", len(all)), claims: names(all), ready: all,
		begin: func(ctx context.Context) error {
			for _, p := range all {
				if err := errors.Join(terminate(ctx, p), p.Start(), p.Ready(ctx)); err != nil {
					return err
				}
			}
			return nil
		},
		end: func(context.Context) error {
			var errs []error
			for _, p := range all {
				errs = append(errs, p.Start())
			}
			return errors.Join(errs...)
		},
	}
}

func (n *nemesis) kafkaKill(Step) act { return n.kafkaDown(n.cluster.Kafka().Kill) }
func (n *nemesis) kafkaStop(Step) act { return n.kafkaDown(n.cluster.Kafka().Terminate) }

func (n *nemesis) kafkaDown(down func()) act {
	return act{
		target: "kafka", claims: []string{serverClaim, "kafka"}, ready: n.cluster.Processes(), end: n.cluster.Kafka().Start,
		begin: func(context.Context) error { down(); return nil },
	}
}

func (n *nemesis) kafkaPause(s Step) act {
	k := n.cluster.Kafka()
	return act{
		target: "kafka", detail: s.Hold.String(), claims: []string{serverClaim, "kafka"}, ready: n.cluster.Processes(),
		begin: func(context.Context) error { return k.Pause() },
		end:   func(context.Context) error { return k.Resume() },
	}
}

func (n *nemesis) postgresImmediate(Step) act { return n.postgresDown(n.cluster.Postgres().Immediate) }
func (n *nemesis) postgresKill(Step) act      { return n.postgresDown(n.cluster.Postgres().Kill) }

func (n *nemesis) postgresDown(down func()) act {
	return act{
		target: "postgres", claims: []string{serverClaim, "postgres"}, ready: n.cluster.Processes(), end: n.cluster.Postgres().Start,
		begin: func(context.Context) error { down(); return nil },
	}
}

func (n *nemesis) postgresSession(s Step) act {
	return act{
		target: "postgres", detail: "a session of " + s.Service, claims: []string{serverClaim, "postgres"}, ready: n.cluster.Processes(),
		begin: func(ctx context.Context) error {
			hit, err := n.cluster.Postgres().KillBackend(ctx, s.Service)
			if err == nil && !hit {
				err = errors.New("no session")
			}
			return err
		},
		end: func(context.Context) error { return nil }, // it recovers by itself
	}
}

// way is a fault of a link. It claims the replica, and Kafka or PostgreSQL, as no way may be touched
// while one of its ends is paused.
func (n *nemesis) way(s Step, detail string, begin func(*cluster.Link) error) act {
	p := n.process(s)
	l := n.cluster.Link(p.Service, p.Replica, s.Target)
	a := act{
		target: p.Name() + " → " + string(s.Target), detail: detail, claims: []string{p.Name(), string(s.Target)},
		ready: []*cluster.Process{p},
	}
	if l == nil {
		a.begin = func(context.Context) error { return errors.New("the cluster has no proxies") }
		a.end = func(context.Context) error { return nil }
		return a
	}
	a.begin = func(context.Context) error { return begin(l) }
	a.end = func(context.Context) error { return l.Restore() }
	return a
}

func (n *nemesis) reset(s Step) act { return n.way(s, "", (*cluster.Link).Reset) }

func (n *nemesis) refuse(s Step) act {
	return n.way(s, "", func(l *cluster.Link) error { l.Refuse(); return nil })
}

func (n *nemesis) cut(s Step) act          { return n.way(s, "", (*cluster.Link).Cut) }
func (n *nemesis) loseAnswers(s Step) act  { return n.way(s, "", (*cluster.Link).LoseAnswers) }
func (n *nemesis) loseRequests(s Step) act { return n.way(s, "", (*cluster.Link).LoseRequests) }

func (n *nemesis) halfAnswers(s Step) act {
	return n.way(s, fmt.Sprintf("after %d bytes", s.Amount), func(l *cluster.Link) error { return l.LimitAnswers(int64(s.Amount)) })
}

func (n *nemesis) slow(s Step) act {
	return n.way(s, fmt.Sprintf("%d bytes/s", s.Amount), func(l *cluster.Link) error { return l.Slow(s.Amount) })
}

func (n *nemesis) latency(s Step) act {
	d := time.Duration(s.Amount) * time.Millisecond
	return n.way(s, d.String(), func(l *cluster.Link) error { return l.Latency(d) })
}

// worlds are the simulators with a fault switch.
var worlds = []string{"provider", "carrier", "mail"}

// outsideFault is the body of POST /faults.
type outsideFault struct {
	Mode    string `json:"mode"`
	Percent int    `json:"percent,omitempty"`
}

func (n *nemesis) outside(s Step, world, mode string) act {
	return act{
		target: world, detail: fmt.Sprintf("%d %%", s.Amount), claims: []string{world},
		begin: func(ctx context.Context) error { return n.switchFault(ctx, world, outsideFault{mode, s.Amount}) },
		end:   func(ctx context.Context) error { return n.switchFault(ctx, world, outsideFault{Mode: "none"}) },
	}
}

// switchFault turns a simulator's own fault switch.
func (n *nemesis) switchFault(ctx context.Context, world string, f outsideFault) error {
	base := map[string]string{
		"provider": n.cluster.Simulator(), "carrier": n.cluster.Carrier(), "mail": n.cluster.Inbox(),
	}[world]
	body, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode the fault: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/faults", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("switch the %s: %w", world, err)
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("switch the %s: %w", world, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("switch the %s to %s: %s", world, f.Mode, res.Status)
	}
	return nil
}
