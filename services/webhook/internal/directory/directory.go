// Package directory knows which endpoints there are without asking the database for each event.
//
// What nobody wants is read past, for ever, so a process that says "nobody" must be right. It may only say so by a view
// of the endpoints that is younger than Lease; with an older one (the database cannot be reached, the process was
// stopped) it says "somebody may", and the batch looks for itself. So an endpoint that was committed Lease ago is known
// to every process, whatever it has heard: whoever waits that long before he answers the one who made it can promise
// that everything which is published from then on will be delivered.
package directory

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/webhook"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
)

const (
	// Lease is how long a view may be used to say that nobody wants something.
	Lease = time.Second
	// every is how often a new view is made, and patience how long that may take.
	every    = Lease / 4
	patience = 2 * time.Second
)

// Directory keeps the latest view. Its methods may be called from many goroutines.
type Directory struct {
	// Log is told of look-ups that fail; set before Run.
	Log *slog.Logger

	pool   *pgxpool.Pool
	latest atomic.Pointer[view]
}

type view struct {
	// taken is from before the question was asked, by the monotonic clock.
	taken time.Time
	byID  map[string]webhook.Endpoint
	types map[string]bool
	all   bool
}

// Open starts to work on a database; until then nobody is known, and everything may be wanted.
func (d *Directory) Open(pool *pgxpool.Pool) { d.pool = pool }

// Refresh makes a new view.
func (d *Directory) Refresh(ctx context.Context) error {
	v := &view{taken: time.Now(), byID: map[string]webhook.Endpoint{}, types: map[string]bool{}}
	endpoints, err := store.EnabledEndpoints(ctx, d.pool)
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		v.byID[e.ID] = e
		v.all = v.all || slices.Contains(e.Events, webhook.AllEvents)
		for _, name := range e.Events {
			v.types[name] = true
		}
	}
	// Of two that were made at once, the one that was begun later stays.
	for {
		before := d.latest.Load()
		if before != nil && before.taken.After(v.taken) || d.latest.CompareAndSwap(before, v) {
			return nil
		}
	}
}

// Run keeps the view young until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		asked, cancel := context.WithTimeout(ctx, patience)
		err := d.Refresh(asked)
		cancel()
		if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			d.Log.WarnContext(ctx, "look up webhooks", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Wanted says whether somebody may want facts of this type.
func (d *Directory) Wanted(eventType string) bool {
	v := d.latest.Load()
	return v == nil || time.Since(v.taken) > Lease || v.all || v.types[eventType]
}

// Endpoints are those that are enabled, by id, as they were when last seen. The map is not to be changed.
func (d *Directory) Endpoints() map[string]webhook.Endpoint {
	v := d.latest.Load()
	if v == nil {
		return nil
	}
	return v.byID
}
