package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// line is one event of a timeline.
type line struct {
	ID          string    `json:"id"`
	Type        string    `json:"type"`
	Service     string    `json:"service"`
	OccurredAt  time.Time `json:"occurredAt"`
	CausationID *string   `json:"causationId"`
	Ignored     *string   `json:"ignored"`
	Summary     string    `json:"summary"`
}

// follower prints an order's events as they come.
type follower struct {
	s     *session
	first time.Time
	names map[string]string // types by event id, to name a cause
	last  string
}

// follow prints every event of the order until it is settled, and then the order. The stream is taken
// up again where it was when it breaks off: a gateway that is started anew is no reason to give up.
func (s *session) follow(ctx context.Context, client rest.Client, orderID string, timeout time.Duration) error {
	limit, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f := &follower{s: s, names: map[string]string{}}
	for {
		err := client.Stream(limit, orderPath(orderID)+"/events", f.last, f.event)
		switch {
		case limit.Err() != nil && ctx.Err() == nil:
			return fmt.Errorf("order %s: %w (%s); go on with 'quadrille order watch %s'", orderID, errUnsettled, timeout, orderID)
		case err == nil:
			done, err := s.settled(limit, client, orderID)
			if done || err != nil {
				return err
			}
		case !retryable(err) || f.last == "":
			return err
		}
		select {
		case <-limit.Done():
		case <-time.After(time.Second):
		}
	}
}

// retryable: everything but an answer that would be the same again.
func retryable(err error) bool {
	var problem *rest.Problem
	return !errors.As(err, &problem) || problem.Retryable
}

// settled shows the order if nothing more will happen to it by itself.
func (s *session) settled(ctx context.Context, client rest.Client, orderID string) (bool, error) {
	var o order
	res, err := client.Call(ctx, rest.Request{Method: http.MethodGet, Path: orderPath(orderID)}, &o)
	if err != nil {
		return true, err
	}
	if o.Status == "PENDING" || o.Status == "CANCELLING" {
		return false, nil
	}
	return true, s.showOrder(res.Body, o)
}

func (f *follower) event(e rest.StreamEvent) error {
	var l line
	if err := json.Unmarshal(e.Data, &l); err != nil {
		return fmt.Errorf("decode an event of the timeline: %w", err)
	}
	f.last, f.names[l.ID] = e.ID, l.Type
	if f.s.root.JSON {
		return f.s.printJSON(json.RawMessage(e.Data))
	}
	if f.first.IsZero() {
		f.first = l.OccurredAt
	}
	text := fmt.Sprintf("%8d ms  %-8s  %-22s", l.OccurredAt.Sub(f.first).Milliseconds(), l.Service, l.Type)
	if l.CausationID != nil {
		cause := f.names[*l.CausationID]
		if cause == "" {
			cause = *l.CausationID
		}
		text += "  <- " + fmt.Sprintf("%-22s", cause)
	} else {
		text += fmt.Sprintf("     %-22s", "")
	}
	text += "  " + l.Summary
	if l.Ignored != nil {
		text += " (ignored: " + *l.Ignored + ")"
	}
	return f.s.printf("%s\n", text)
}
