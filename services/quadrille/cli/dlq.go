package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

type dlqCommand struct {
	List   dlqListCommand   `cmd:"" help:"What is parked, grouped by service, event type and error."`
	Replay dlqReplayCommand `cmd:"" help:"Handle parked orders again, oldest event first."`
}

type dlqListCommand struct{}

// parkedGroup is parked orders of one cause.
type parkedGroup struct {
	Group       string     `json:"group"`
	Error       string     `json:"error"`
	Count       int        `json:"count"`
	Queued      int        `json:"queued"`
	Subjects    []string   `json:"subjects"`
	Since       time.Time  `json:"since"`
	NextRetryAt *time.Time `json:"nextRetryAt"`
}

// Run lists what is parked.
func (c *dlqListCommand) Run(ctx context.Context, s *session) error {
	ops, err := s.operator()
	if err != nil {
		return err
	}
	var list struct {
		Data        []parkedGroup `json:"data"`
		Unavailable []string      `json:"unavailable"`
	}
	res, err := ops.Call(ctx, rest.Request{Method: http.MethodGet, Path: "/ops/v1/failures"}, &list)
	if err != nil {
		return err
	}
	if s.root.JSON {
		return s.printf("%s\n", res.Body)
	}
	for _, g := range list.Data {
		retry := "waits for a person"
		if g.NextRetryAt != nil {
			retry = "tried again at " + g.NextRetryAt.Local().Format(time.TimeOnly)
		}
		err := s.printf("%s\n  %d parked since %s, %d events queued; %s\n  %s\n  %s\n", g.Group, g.Count,
			g.Since.Local().Format(time.DateTime), g.Queued, retry, g.Error, strings.Join(g.Subjects, " "))
		if err != nil {
			return err
		}
	}
	if len(list.Data) == 0 {
		if err := s.printf("nothing is parked\n"); err != nil {
			return err
		}
	}
	return unavailable(list.Unavailable)
}

// unavailable is the error that says whose answers are missing in what was printed.
func unavailable(services []string) error {
	if len(services) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s did not answer, so this is not all", rest.ErrUnreachable, strings.Join(services, ", "))
}

type dlqReplayCommand struct {
	Group   string `help:"All of one group, as 'dlq list' names it."`
	Subject string `help:"One order."`
	Service string `help:"All of one service."`
	DryRun  bool   `help:"Only show what matches."`
	Reason  string `help:"Why; kept in the audit." default:"replayed by the command line"`
}

// Run replays what matches; it fails if any of it did.
func (c *dlqReplayCommand) Run(ctx context.Context, s *session) error {
	if c.Group == "" && c.Subject == "" && c.Service == "" {
		return fmt.Errorf("%w: name what to replay: --group, --subject or --service", errUsage)
	}
	ops, err := s.operator()
	if err != nil {
		return err
	}
	var list struct {
		Data        []json.RawMessage `json:"data"`
		Unavailable []string          `json:"unavailable"`
	}
	err = ops.Post(ctx, "/ops/v1/failures/replay", map[string]any{
		"filter": map[string]string{"group": c.Group, "subject": c.Subject, "service": c.Service},
		"dryRun": c.DryRun, "reason": c.Reason,
	}, &list)
	if err != nil {
		return err
	}
	failed := 0
	for _, raw := range list.Data {
		var r struct {
			Service, Subject, Group, Outcome, Error string
			Events                                  int
		}
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("decode the result of a replay: %w", err)
		}
		if r.Outcome == "failed" {
			failed++
		}
		if s.root.JSON {
			err = s.printJSON(raw)
		} else {
			err = s.printf("%-8s %s %s, %d events %s\n", r.Outcome, r.Service, r.Subject, r.Events, r.Error)
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d replays failed; they stay parked", failed, len(list.Data))
	}
	if len(list.Data) == 0 && len(list.Unavailable) == 0 {
		return fmt.Errorf("nothing that is parked matches")
	}
	return unavailable(list.Unavailable)
}
