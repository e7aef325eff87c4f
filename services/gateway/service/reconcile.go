package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/gateway/internal/store"
	"github.com/quadrille-io/quadrille/services/gateway/internal/upstream"
	"github.com/quadrille-io/quadrille/services/reconcile"
)

// ReconcileConfig is when and as whom the gateway compares the services' books.
type ReconcileConfig struct {
	// Every is how often orders that changed are compared; 0 is never.
	Every time.Duration `env:"RECONCILE_EVERY" envDefault:"5m"`
	// Sweep is how often everything is; 0 is never.
	Sweep time.Duration `env:"RECONCILE_SWEEP_EVERY" envDefault:"6h"`
	// TokenFile holds the token of an operator, read anew each time; without one nothing is compared: the
	// gateway has no rights of its own.
	TokenFile string `env:"RECONCILE_TOKEN_FILE"`
	// Wait is the time between two looks at what does not agree.
	Wait time.Duration `env:"RECONCILE_WAIT" envDefault:"10s"`
	// Pause is waited after each page of a sweep, PageSize how many rows one has.
	Pause    time.Duration `env:"RECONCILE_PAUSE" envDefault:"200ms"`
	PageSize int           `env:"RECONCILE_PAGE" envDefault:"200"`
}

// Validate names what cannot be.
func (c *ReconcileConfig) Validate() error {
	var errs []error
	if c.Every < 0 || c.Sweep < 0 || c.Wait < 0 || c.Pause < 0 {
		errs = append(errs, errors.New("RECONCILE_EVERY, RECONCILE_SWEEP_EVERY, RECONCILE_WAIT, RECONCILE_PAUSE: negative; 0 switches the first two off"))
	}
	if c.PageSize < 1 || c.PageSize > 1000 {
		errs = append(errs, errors.New("RECONCILE_PAGE: between 1 and 1000"))
	}
	return errors.Join(errs...)
}

const (
	// changedAtOnce bounds the orders of one comparison, changedMost those of one run: beyond that the sweep
	// has to do, as a run must not take the rest of its interval.
	changedAtOnce = 1000
	changedMost   = 20_000
	// changedSlice is the time whose events are listed by one statement, changedOldest how far back a run
	// looks after a longer rest.
	changedSlice  = 10 * time.Second
	changedOldest = time.Hour
	// openMost bounds the differences that are kept in sight; one more is a group like the others.
	openMost = 1000
	// changedPause is waited after each request of a run: with it one member's requests stay below what a
	// gateway allows.
	changedPause = 50 * time.Millisecond
	// bookTimeout is for one page.
	bookTimeout = 15 * time.Second
)

// The marks of the reconciler.
const (
	markChanges = "changes"
	markSweep   = "sweep"
	markSuccess = "success"
)

// reconciler compares the services' books on a schedule, one replica at a time.
type reconciler struct {
	server  *server
	cfg     ReconcileConfig
	open    *prometheus.GaugeVec
	checked prometheus.Counter
	success prometheus.Gauge
}

func newReconciler(s *server) *reconciler {
	return &reconciler{
		server: s, cfg: s.cfg.Reconcile,
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "quadrille_reconcile_differences",
			Help: "Places where the services' books do not agree, by rule. The same in every replica.",
		}, []string{"rule"}),
		checked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "quadrille_reconcile_orders_checked_total",
			Help: "Orders compared. Summed over replicas.",
		}),
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quadrille_reconcile_last_success_timestamp_seconds",
			Help: "When a comparison last read everything it wanted to. The same in every replica; 0: never.",
		}),
	}
}

func (r *reconciler) run(ctx context.Context) error {
	for _, c := range []prometheus.Collector{r.open, r.checked, r.success} {
		if err := r.server.host.Registerer.Register(c); err != nil {
			return fmt.Errorf("register the reconciler's metrics: %w", err)
		}
	}
	log := r.server.host.Log
	if r.cfg.Every == 0 || r.cfg.TokenFile == "" {
		log.Info("the reconciler is off", "every", r.cfg.Every, "token file", r.cfg.TokenFile)
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	for {
		if err := r.tell(ctx); err != nil && ctx.Err() == nil {
			log.Warn("tell what the reconciler found", "error", err)
		}
		// Not at once: the services start beside this one.
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := store.Alone(ctx, r.server.host.Pool, r.round)
		if err != nil && !errors.Is(err, store.ErrBusy) && ctx.Err() == nil {
			log.Warn("compare the services' books", "error", err)
		}
	}
}

// round compares what changed since the round before, or everything where that is due.
func (r *reconciler) round(ctx context.Context) error {
	pool := r.server.host.Pool
	marks, err := store.Marks(ctx, pool)
	if err != nil {
		return err
	}
	now, err := store.Now(ctx, pool)
	if err != nil {
		return err
	}
	if last, ever := marks[markSweep]; r.cfg.Sweep > 0 && (!ever || now.Sub(last) >= r.cfg.Sweep) {
		if err := r.sweep(ctx, now); err != nil {
			return err
		}
		return store.Mark(ctx, pool, markSuccess, now)
	}
	// What happens now is not at rest yet: it is for the next round.
	until := now.Add(-r.cfg.Wait)
	if err := r.changes(ctx, marks[markChanges], until); err != nil {
		return err
	}
	if err := store.Mark(ctx, pool, markChanges, until); err != nil {
		return err
	}
	return store.Mark(ctx, pool, markSuccess, now)
}

// changes compares the orders that had an event since, and what did not agree before. It goes slice by
// slice, as one statement over all of a busy time would take too long, and gathers small ones.
func (r *reconciler) changes(ctx context.Context, since, until time.Time) error {
	if oldest := until.Add(-changedOldest); since.Before(oldest) {
		since = oldest
	}
	var orders []string
	for done := 0; since.Before(until) && done < changedMost; {
		to := since.Add(changedSlice)
		if to.After(until) {
			to = until
		}
		changed, upTo, err := store.Changed(ctx, r.server.host.Pool, since, to, changedAtOnce)
		if err != nil {
			return err
		}
		if orders = append(orders, changed...); len(orders) >= changedAtOnce {
			if err := r.compare(ctx, orders); err != nil {
				return err
			}
			done, orders = done+len(orders), nil
		}
		since = upTo
	}
	return r.compare(ctx, orders)
}

// sweep compares everything, slowly.
func (r *reconciler) sweep(ctx context.Context, now time.Time) error {
	open, err := r.stands(ctx)
	if err != nil {
		return err
	}
	if err := r.verify(ctx, nil, open, r.cfg.Pause); err != nil {
		return err
	}
	for _, mark := range []string{markSweep, markChanges} {
		if err := store.Mark(ctx, r.server.host.Pool, mark, now); err != nil {
			return err
		}
	}
	return nil
}

// compare compares these orders, and what did not agree before.
func (r *reconciler) compare(ctx context.Context, orders []string) error {
	open, err := r.stands(ctx)
	if err != nil {
		return err
	}
	scope := reconcile.ScopeOf(open)
	scope.Orders = append(scope.Orders, orders...)
	return r.verify(ctx, scope, open, min(r.cfg.Pause, changedPause))
}

// stands lists the differences that stand.
func (r *reconciler) stands(ctx context.Context) ([]reconcile.Difference, error) {
	rows, err := store.Differences(ctx, r.server.host.Pool, openMost)
	if err != nil {
		return nil, err
	}
	open := make([]reconcile.Difference, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal(row.Report, &open[i]); err != nil {
			return nil, fmt.Errorf("read a difference: %w", err)
		}
	}
	return open, nil
}

// verify compares and keeps what it finds; what stood before and was found no more goes, unless it moved
// meanwhile and could not be judged.
func (r *reconciler) verify(ctx context.Context, only *reconcile.Scope, before []reconcile.Difference, pause time.Duration) error {
	get, err := r.get()
	if err != nil {
		return err
	}
	report, err := reconcile.Reader{Get: get, Page: r.cfg.PageSize, Pause: pause}.Verify(ctx, reconcile.Options{Only: only, Wait: r.cfg.Wait})
	if err != nil {
		return err
	}
	r.checked.Add(float64(report.Checked.Orders))
	var judged []string
	for _, d := range before {
		if !slices.Contains(report.Moving, d.OrderID) && (len(report.Open) == 0 || d.ProductID == "") {
			judged = append(judged, d.Key())
		}
	}
	known := map[string]bool{}
	for _, d := range before {
		known[d.Key()] = true
	}
	var found []store.Difference
	for _, d := range report.Differences {
		d.Timeline = nil // it is in this very database
		text, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("keep a difference: %w", err)
		}
		found = append(found, store.Difference{Key: d.Key(), Rule: d.Rule, About: d.About(), Report: text})
		if !known[d.Key()] {
			r.server.host.Log.Error("the services' books do not agree", "rule", d.Rule, "row", d.Row, "about", d.About(), "sentence", d.Sentence)
		}
	}
	return store.KeepDifferences(ctx, r.server.host.Pool, found, judged)
}

// get asks this gateway, as any operator's client does, with the token as it stands in the file now.
func (r *reconciler) get() (reconcile.Get, error) {
	token, err := os.ReadFile(r.cfg.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("RECONCILE_TOKEN_FILE: %w", err)
	}
	c := upstream.Caller{
		Authorization: "Bearer " + strings.TrimSpace(string(token)), RequestID: uuid.Must(uuid.NewV7()).String(), Address: "127.0.0.1",
	}
	return func(ctx context.Context, path string, out any) error {
		return r.server.services["gateway"].Read(ctx, c, bookTimeout, path, out)
	}, nil
}

// tell sets the metrics to what the database says, in the replicas that do not compare too.
func (r *reconciler) tell(ctx context.Context) error {
	open, err := store.Differences(ctx, r.server.host.Pool, openMost)
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for _, d := range open {
		counts[d.Rule]++
	}
	for _, rule := range reconcile.Rules() {
		r.open.WithLabelValues(rule).Set(float64(counts[rule]))
	}
	marks, err := store.Marks(ctx, r.server.host.Pool)
	if err != nil {
		return err
	}
	if at := marks[markSuccess]; !at.IsZero() {
		r.success.Set(float64(at.UnixMilli()) / 1000)
	}
	return nil
}

// reconcileNotices tells operators of each rule that something stands against.
func reconcileNotices(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
	open, err := store.Differences(ctx, pool, openMost)
	if err != nil {
		return nil, err
	}
	var all []host.Notice
	for _, d := range open { // oldest first
		group := "reconcile/" + d.Rule
		i := slices.IndexFunc(all, func(n host.Notice) bool { return n.Group == group })
		if i < 0 {
			all = append(all, host.Notice{
				Group: group, Subjects: []string{}, Since: d.FoundAt.UTC(),
				Text: "The services' books do not agree (" + d.Rule + "): `quadrille verify` says how, order by order, and what mends it.",
			})
			i = len(all) - 1
		}
		n := &all[i]
		if n.Count++; len(n.Subjects) < 10 && d.About != "" {
			n.Subjects = append(n.Subjects, d.About)
		}
	}
	return all, nil
}

// allNotices is everything the gateway has for operators.
func allNotices(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
	found, err1 := notices(ctx, pool)
	differs, err2 := reconcileNotices(ctx, pool)
	return append(found, differs...), errors.Join(err1, err2)
}
