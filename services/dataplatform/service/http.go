package service

import (
	"context"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/dataplatform"
	"github.com/quadrille-io/quadrille/services/dataplatform/internal/store"
)

// server is what the handlers and the components share.
type server struct {
	host     *host.Host[dataplatform.World]
	exporter *exporter
	keep     time.Duration
}

// routes adds the export's routes, for operators. Components start after it, so they have the host.
func (s *server) routes(e *echo.Echo, h *host.Host[dataplatform.World]) {
	s.host = h
	ops := e.Group("/ops/v1/dataplatform", web.Auth(h.Verifier), web.RequireRole(web.RoleOperator))
	ops.GET("", s.getState)
	ops.POST("/replay", s.postReplay)
}

// export is the exporter as a component.
func (s *server) export(ctx context.Context) error {
	m, err := newMetrics(s.host.Registerer)
	if err != nil {
		return err
	}
	s.exporter.log, s.exporter.metrics = s.host.Log.With("component", "exporter"), m
	return s.exporter.run(ctx)
}

// days makes and drops the days of facts once an hour; the first ones were made before anything was read.
func (s *server) days(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		now := time.Now()
		err := store.PrepareDays(ctx, s.host.Pool, now)
		if err == nil {
			var dropped []string
			if dropped, err = store.DropDays(ctx, s.host.Pool, now.Add(-s.keep)); len(dropped) > 0 {
				s.host.Log.InfoContext(ctx, "days of facts dropped", "days", dropped)
			}
		}
		if err != nil && ctx.Err() == nil {
			s.host.Log.WarnContext(ctx, "days of facts", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// state is GET /ops/v1/dataplatform.
type state struct {
	// Position of the newest fact kept; Exported: of the newest one that the platform has taken, and all before it.
	Position int64 `json:"position"`
	Exported int64 `json:"exported"`
	// Waiting is how many facts the platform has not taken, at most.
	Waiting int64 `json:"waiting"`
	// OldestWaitingAt is the watermark: what happened before, and has been read from the topics, is with the platform.
	// nil: so is everything.
	OldestWaitingAt *time.Time `json:"oldestWaitingAt"`
	LagSeconds      float64    `json:"lagSeconds"`
	// Attempts and LastError are of the batch under way.
	Attempts  int                 `json:"attempts"`
	LastError string              `json:"lastError"`
	Batches   int64               `json:"batches"`
	Facts     int64               `json:"facts"`
	Replays   []store.ReplayState `json:"replays"`
}

// listed is how many replays are told of.
const listed = 20

func (s *server) getState(c echo.Context) error {
	ctx := c.Request().Context()
	w, err := store.ReadWatermark(ctx, s.host.Pool)
	if err != nil {
		return err
	}
	replays, err := store.Replays(ctx, s.host.Pool, listed)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, state{
		Position: w.Position, Exported: w.Exported, Waiting: waiting(w), OldestWaitingAt: w.Oldest, LagSeconds: w.Lag.Seconds(),
		Attempts: w.Attempts, LastError: w.LastError, Batches: w.Batches, Facts: w.Facts, Replays: append([]store.ReplayState{}, replays...),
	})
}

// replayRequest is POST /ops/v1/dataplatform/replay. The reason is for the gateway's audit.
type replayRequest struct {
	From   string `json:"from"`
	Reason string `json:"reason"`
}

// longestReason is the most characters of a reason.
const longestReason = 500

func (r replayRequest) check() (from time.Time, err error) {
	var bad web.Fields
	bad.Missing("/from", r.From == "")
	if from, err = parseTime(r.From); r.From != "" {
		bad.Invalid("/from", err != nil, "A date, 2026-11-21 (UTC), or a time, 2026-11-21T09:00:00+09:00, not before 2000.")
	}
	bad.Missing("/reason", r.Reason == "")
	bad.Invalid("/reason", utf8.RuneCountInString(r.Reason) > longestReason, fmt.Sprintf("At most %d characters.", longestReason))
	return from, bad.Err()
}

// parseTime reads a date, which begins in UTC, or a time.
func parseTime(text string) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	if at = at.UTC(); err == nil && (at.Year() < 2000 || at.Year() > 9999) {
		err = fmt.Errorf("the year %d is far away", at.Year())
	}
	return at, err
}

func (s *server) postReplay(c echo.Context) error {
	var r replayRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	from, err := r.check()
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a replay's id: %w", err)
	}
	s.host.Log.Info("replay to the data platform asked for", "operator", web.Caller(c).Subject, "requestId", web.RequestID(c), "from", from)
	return s.host.Command(c, r, dataplatform.RequestReplay{ReplayID: id.String(), From: from}, "/ops/v1/dataplatform")
}
