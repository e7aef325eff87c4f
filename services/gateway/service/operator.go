package service

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/choreography"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/console"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
)

// replayTimeout is for a whole group of parked orders of one service.
const replayTimeout = 30 * time.Second

// joined is a list put together from all services; Unavailable names those that did not answer.
type joined[T any] struct {
	Data        []T      `json:"data"`
	HasMore     bool     `json:"hasMore"`
	Unavailable []string `json:"unavailable"`
}

// gather asks the named services at once and keeps what each says; one that does not answer is named instead. A
// refusal is the caller's (its token has expired, say), so it is the answer of the whole.
func gather[T any](names []string, ask func(name string) (T, error)) (answers map[string]T, unavailable []string, err error) {
	answers, unavailable = map[string]T{}, []string{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, name := range names {
		group.Go(func() {
			answer, askErr := ask(name)
			mu.Lock()
			defer mu.Unlock()
			var refusal *fault.Refusal
			switch {
			case askErr == nil:
				answers[name] = answer
			case errors.As(askErr, &refusal) && refusal.Status < http.StatusInternalServerError:
				err = refusal
			default:
				unavailable = append(unavailable, name)
			}
		})
	}
	group.Wait()
	slices.Sort(unavailable)
	return answers, unavailable, err
}

func (s *server) names() []string { return slices.Sorted(maps.Keys(s.services)) }

// failureGroup is what parked orders of one service and one cause have in common.
type failureGroup struct {
	Group       string `json:"group"`
	Service     string `json:"service"`
	EventType   string `json:"eventType"`
	Fingerprint string `json:"fingerprint"`
	// Error is that of the oldest.
	Error string `json:"error"`
	Count int    `json:"count"`
	// Queued is how many events wait behind them, themselves included.
	Queued int `json:"queued"`
	// Subjects are orders of the group, oldest first, at most 20.
	Subjects []string  `json:"subjects"`
	Since    time.Time `json:"since"`
	// NextRetryAt is when the first of them is tried again by itself; null when only a person can help.
	NextRetryAt *time.Time `json:"nextRetryAt"`
}

const groupSubjects = 20

// failures lists what is parked in all services, in groups, the largest first.
func (s *server) failures(ctx context.Context, c upstream.Caller) (joined[failureGroup], error) {
	lists, missing, err := gather(s.names(), func(name string) (web.List[engine.Failure], error) {
		var list web.List[engine.Failure]
		return list, s.services[name].Read(ctx, c, askTimeout, "/internal/v1/failures", &list)
	})
	out := joined[failureGroup]{Data: []failureGroup{}, Unavailable: missing}
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		out.Data = append(out.Data, grouped(lists[name].Data)...)
	}
	slices.SortStableFunc(out.Data, func(a, b failureGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Group, b.Group))
	})
	return out, err
}

func grouped(failures []engine.Failure) []failureGroup {
	var groups []failureGroup
	at := map[string]int{}
	for _, f := range failures { // oldest first
		i, known := at[f.Group()]
		if !known {
			i = len(groups)
			at[f.Group()] = i
			groups = append(groups, failureGroup{
				Group: f.Group(), Service: f.Service, EventType: f.EventType, Fingerprint: f.Fingerprint,
				Error: f.Error, Since: f.FailedAt, NextRetryAt: f.NextRetryAt,
			})
		}
		g := &groups[i]
		g.Count++
		g.Queued += f.Queued
		if len(g.Subjects) < groupSubjects {
			g.Subjects = append(g.Subjects, f.Subject)
		}
		if f.NextRetryAt != nil && (g.NextRetryAt == nil || f.NextRetryAt.Before(*g.NextRetryAt)) {
			g.NextRetryAt = f.NextRetryAt
		}
	}
	return groups
}

// replay asks all services, or the one of the filter, to replay what matches.
func (s *server) replay(ctx context.Context, c upstream.Caller, req host.ReplayRequest) (joined[host.ReplayResult], error) {
	names := s.names()
	if req.Filter.Service != "" {
		if s.services[req.Filter.Service] == nil {
			return joined[host.ReplayResult]{}, fault.Invalid(fault.FieldError{
				Pointer: "/filter/service", Code: fault.CodeInvalidField, Detail: "There is no such service.",
			})
		}
		names = []string{req.Filter.Service}
	}
	body, err := json.Marshal(req)
	if err != nil {
		return joined[host.ReplayResult]{}, fmt.Errorf("encode the replay: %w", err)
	}
	lists, missing, err := gather(names, func(name string) (web.List[host.ReplayResult], error) {
		var list web.List[host.ReplayResult]
		return list, s.services[name].Send(ctx, c, replayTimeout, http.MethodPost, "/internal/v1/failures/replay", body, &list)
	})
	out := joined[host.ReplayResult]{Data: []host.ReplayResult{}, Unavailable: missing}
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		out.Data = append(out.Data, lists[name].Data...)
	}
	return out, err
}

// subscriptions lists how far every service's consumer group is.
func (s *server) subscriptions(ctx context.Context, c upstream.Caller) (joined[engine.Subscription], error) {
	states, missing, err := gather(s.names(), func(name string) (engine.Subscription, error) {
		var state engine.Subscription
		return state, s.services[name].Read(ctx, c, askTimeout, "/internal/v1/subscription", &state)
	})
	out := joined[engine.Subscription]{Data: []engine.Subscription{}, Unavailable: missing}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		state := states[name]
		state.Stopped = orEmpty(state.Stopped)
		out.Data = append(out.Data, state)
	}
	return out, err
}

// resume lets the stopped partitions of one service go on.
func (s *server) resume(ctx context.Context, c upstream.Caller, name string) error {
	service := s.services[name]
	if service == nil {
		return fault.NotFound()
	}
	err := service.Send(ctx, c, askTimeout, http.MethodPost, "/internal/v1/subscription/resume", nil, nil)
	if errors.Is(err, upstream.ErrUnreachable) {
		return fault.Unavailable(fault.CodeServiceUnavailable, "The service "+name+" does not answer at the moment.", time.Second)
	}
	var refusal *fault.Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return err
}

// topologyView is one service's declared part.
type topologyView struct {
	Service string     `json:"service"`
	Topics  []string   `json:"topics"`
	Listens []string   `json:"listens"`
	Edges   []edgeView `json:"edges"`
}

type edgeView struct {
	Kind     string   `json:"kind"`
	Input    string   `json:"input"`
	Function string   `json:"function"`
	Emits    []string `json:"emits"`
	Calls    []string `json:"calls"`
}

// topology is every service's part as it is declared in the code.
func topology() web.List[topologyView] {
	all := choreography.Topologies()
	if !slices.ContainsFunc(all, func(t flow.Topology) bool { return t.Service == gateway.Topology.Name() }) {
		all = append(all, gateway.Topology.Topology())
	}
	views := make([]topologyView, 0, len(all))
	for _, t := range all {
		v := topologyView{Service: t.Service, Topics: orEmpty(t.Topics()), Listens: orEmpty(t.Listens), Edges: []edgeView{}}
		for _, e := range t.Edges {
			v.Edges = append(v.Edges, edgeView{
				Kind: e.Kind.String(), Input: e.Input, Function: e.Func, Emits: orEmpty(e.Emits), Calls: orEmpty(e.Calls),
			})
		}
		views = append(views, v)
	}
	return web.List[topologyView]{Data: views}
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// console gives the operators' pages what they need.
func (s *server) console() console.Parts {
	return console.Parts{
		Pool: s.host.Pool, Verifier: s.host.Verifier,
		Failures: func(ctx context.Context, c upstream.Caller) ([]console.Group, []string, error) {
			list, err := s.failures(ctx, c)
			groups := make([]console.Group, len(list.Data))
			for i, g := range list.Data {
				groups[i] = console.Group{
					Service: g.Service, EventType: g.EventType, Fingerprint: g.Fingerprint, Error: g.Error, Count: g.Count,
					Queued: g.Queued, Subjects: g.Subjects, Since: g.Since, NextRetryAt: g.NextRetryAt,
				}
			}
			return groups, list.Unavailable, err
		},
	}
}
