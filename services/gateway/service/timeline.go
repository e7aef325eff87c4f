package service

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/gateway"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
)

const (
	// askTimeout is how long another service may take for a part of an answer.
	askTimeout = 2 * time.Second
	// catchUp is how long a timeline waits until it holds what the order service has dealt with.
	catchUp = 2 * time.Second
)

// versionOf asks the order service, with the caller's own token, whether the caller may see the order and how many
// events it has dealt with. While that service does not answer, the read model knows whose order it is: then the
// timeline is served as far as it is, with version 0.
func (s *server) versionOf(ctx context.Context, c upstream.Caller, who web.Identity, id string) (int64, error) {
	var order struct {
		Version int64 `json:"version"`
	}
	err := s.services["order"].Read(ctx, c, askTimeout, "/api/v1/orders/"+url.PathEscape(id), &order)
	if err == nil {
		return order.Version, nil
	}
	if !errors.Is(err, upstream.ErrUnreachable) {
		return 0, err // its refusal is ours
	}
	line, err := store.Order(ctx, s.host.Pool, id)
	if err == nil && (line.UserID == who.Subject || who.Is(web.RoleOperator)) {
		return 0, nil
	}
	return 0, fault.Unavailable(fault.CodeServiceUnavailable, "The order service does not answer at the moment.", time.Second)
}

// completed returns the order's events once there are as many as version says, or after two seconds as they are.
func (s *server) completed(ctx context.Context, id string, version int64) ([]gateway.Event, error) {
	changed, stop := s.watch.watch(id)
	defer stop()
	enough := time.NewTimer(catchUp)
	defer enough.Stop()
	for waiting := true; ; {
		events, err := store.Timeline(ctx, s.host.Pool, id)
		if err != nil || !waiting || counted(events) >= version {
			return events, err
		}
		select {
		case <-changed:
		case <-enough.C:
			waiting = false
		case <-web.Draining(ctx):
			waiting = false
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// counted is how many of the events count for the order's version.
func counted(events []gateway.Event) int64 {
	var n int64
	repeats := gateway.Repeats(events)
	for _, e := range events {
		// What order says again it has counted the first time; what others say again it has read twice.
		if gateway.CountsForVersion(e) && (e.Service != "order" || !repeats[e.ID]) {
			n++
		}
	}
	return n
}

// follower decides what a live timeline sends next.
type follower struct {
	sent map[string]bool
	// since says when an event that waits for its cause was first seen.
	since map[string]time.Time
	// last is the Last-Event-ID of a client that came back, until the first look.
	last string
}

func newFollower(last string) *follower {
	return &follower{sent: map[string]bool{}, since: map[string]time.Time{}, last: last}
}

// next returns the lines to send now, and whether some are held back because their cause is not there yet.
func (f *follower) next(events []gateway.Event, now time.Time) (lines []gateway.Line, holding bool) {
	ready, held := gateway.Live(events, func(id string) bool {
		since, known := f.since[id]
		return known && now.Sub(since) >= catchUp
	})
	for _, e := range held {
		if _, known := f.since[e.ID]; !known {
			f.since[e.ID] = now
		}
	}
	f.resume(ready)
	explained := map[string]gateway.Line{}
	for _, line := range gateway.Explain(events) {
		explained[line.ID] = line
	}
	for _, e := range ready {
		if !f.sent[e.ID] {
			f.sent[e.ID] = true
			lines = append(lines, explained[e.ID])
		}
	}
	return lines, len(held) > 0
}

// resume takes everything up to the client's last event as sent. An id that is not there is no reason to send nothing:
// the client gets all, and knows them by their ids.
func (f *follower) resume(ready []gateway.Event) {
	if f.last == "" {
		return
	}
	for i, e := range ready {
		if e.ID == f.last {
			for _, before := range ready[:i+1] {
				f.sent[before.ID] = true
			}
		}
	}
	f.last = ""
}
