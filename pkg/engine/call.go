package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// Call is one try of a call outside.
type Call struct {
	Subject string
	Kind    string
	Attempt int
	// Body is what the decision asked for, as JSON.
	Body json.RawMessage

	cause, root, traceparent string
}

// Caller makes a call and returns its outcome as an input of the service's definition. An error means
// that there is no outcome to decide on: the call is made again, with backoff, for as long as it takes.
// A caller must send the same idempotency key every time, and must not return an error for a call that
// the provider may have carried out unless sending it again under that key is harmless.
type Caller func(ctx context.Context, call Call) (flow.Command, error)

// worker makes calls, outside of any transaction: those that this process asked for and claimed in the same moment,
// and those that are due in the table.
type worker[W any] struct {
	e       *Engine[W]
	wake    chan struct{}
	slots   chan struct{}
	retryMu sync.Mutex
	retries []retry

	mu     sync.Mutex
	ctx    context.Context // of run; nil before and after it
	flying int             // calls claimed here and not answered yet
	landed sync.WaitGroup
	// left says that a batch asked for more calls than there was room for.
	left atomic.Bool
}

type retry struct {
	call Call
	err  string
	wait time.Duration
}

func newWorker[W any](e *Engine[W]) *worker[W] {
	return &worker[W]{e: e, wake: make(chan struct{}, 1), slots: make(chan struct{}, e.tuning.CallSlots)}
}

func (w *worker[W]) wakeUp() { signal(w.wake) }

// run claims and calls until ctx ends, then waits for the calls under way: each is answered, or its row
// stays as it is and says that the outcome is not known.
func (w *worker[W]) run(ctx context.Context) error {
	if len(w.e.cfg.Callers) == 0 {
		return nil
	}
	w.open(ctx)
	defer func() {
		w.close()
		w.landed.Wait()
		w.saveRetries()
	}()
	for {
		w.saveRetries()
		full, err := w.claim(ctx)
		if err != nil && ctx.Err() == nil {
			w.e.log.Warn("claim calls", "error", err)
		}
		wait := w.e.tuning.Sweep
		if full {
			wait = w.e.tuning.Pace
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
			// What a busy service asks for gathers for a pace, as everything does.
			if !full {
				sleep(ctx, w.e.tuning.Pace/2)
			}
		case <-time.After(wait):
		}
	}
}

func (w *worker[W]) open(ctx context.Context) {
	w.mu.Lock()
	w.ctx = ctx
	w.mu.Unlock()
}

// close has no more calls started.
func (w *worker[W]) close() {
	w.mu.Lock()
	w.ctx = nil
	w.mu.Unlock()
}

// room is how many more calls this process may claim as it asks for them. They wait here for a slot while their
// lease runs, so there are only so many times as many as there are slots; the others are claimed from the table.
func (w *worker[W]) room() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil {
		return 0
	}
	return max(0, 32*cap(w.slots)-w.flying)
}

// start makes calls that are this process's by now. Should the worker have stopped meanwhile, their leases end, and
// they are claimed again.
func (w *worker[W]) start(calls []Call, claimedAt time.Time) {
	if w.left.Swap(false) {
		w.wakeUp()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx == nil {
		return
	}
	ctx := w.ctx
	w.flying += len(calls)
	for _, c := range calls {
		w.landed.Go(func() {
			w.make(ctx, c, claimedAt)
			w.mu.Lock()
			w.flying--
			w.mu.Unlock()
		})
	}
}

// claim takes due calls, as many as there is room for, and starts them. SKIP LOCKED is right here: no
// order is promised among calls. The claim is the row's due_at moved to the end of the lease: a worker
// that dies leaves a call that becomes due again by itself. Calls of a parked subject wait: their
// answers could not be decided.
func (w *worker[W]) claim(ctx context.Context) (full bool, err error) {
	// Many at once: each claim reads over what was claimed before it and is not vacuumed yet, so a backlog taken in
	// small bits would cost the square of its length.
	free := w.room()
	if free < 16*cap(w.slots) {
		return true, nil
	}
	// Taken before the claim is asked for: the database counts the lease from a later moment, so by this
	// clock it ends too early, never too late.
	claimedAt := time.Now()
	rows, err := w.e.cfg.Pool.Query(ctx, `
		UPDATE call c SET due_at = clock_timestamp() + $2, attempts = c.attempts + 1
		FROM (SELECT subject, kind FROM call
		      WHERE state = 0 AND due_at <= clock_timestamp() AND kind = ANY($3)
		        AND NOT EXISTS (SELECT FROM subject s WHERE s.id = call.subject AND s.parked)
		      ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
		WHERE c.subject = due.subject AND c.kind = due.kind
		RETURNING c.subject, c.kind, c.attempts, c.body, c.cause, c.root, c.traceparent`,
		free, w.e.tuning.CallLease, slices.Sorted(maps.Keys(w.e.cfg.Callers)))
	if err != nil {
		return false, fmt.Errorf("claim calls: %w", err)
	}
	claimed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Call, error) {
		var c Call
		return c, row.Scan(&c.Subject, &c.Kind, &c.Attempt, &c.Body, &c.cause, &c.root, &c.traceparent)
	})
	if err != nil {
		return false, fmt.Errorf("claim calls: %w", err)
	}
	w.start(claimed, claimedAt)
	return len(claimed) == free, nil
}

// make makes one call and hands its outcome to the command lane.
//
// A send is forbidden once so much of the lease is gone that the call could outlast it: this process
// may have been stopped for a while between the claim and here, and another worker has the call then.
// The monotonic clock says so, not the wall clock.
func (w *worker[W]) make(ctx context.Context, c Call, claimedAt time.Time) {
	outcome, sent, err := w.send(ctx, c, claimedAt)
	if !sent {
		w.giveBack(c)
		return
	}
	if err != nil {
		w.e.metrics.calls.WithLabelValues(c.Kind, "retry").Inc()
		w.again(c, err)
		return
	}
	w.e.metrics.calls.WithLabelValues(c.Kind, "answered").Inc()
	if err := w.answer(ctx, c, outcome); err != nil {
		// The outcome is not lost: the call is made again under the same key.
		w.e.log.Error("outcome of a call was not taken", "subject", c.Subject, "kind", c.Kind, "error", err)
		w.again(c, err)
	}
}

// send waits for a slot and makes the call. Its answer waits for a transaction without the slot, which is for the
// world outside. A worker that stops sends nothing more: what waits for a slot is another's to make.
func (w *worker[W]) send(ctx context.Context, c Call, claimedAt time.Time) (outcome flow.Command, sent bool, err error) {
	select {
	case <-ctx.Done():
		return nil, false, nil
	case w.slots <- struct{}{}:
	}
	defer func() { <-w.slots }()
	if ctx.Err() != nil || time.Since(claimedAt) > w.e.tuning.CallLease-w.e.tuning.CallTimeout {
		return nil, false, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.e.tuning.CallTimeout)
	defer cancel()
	outcome, err = w.call(ctx, c)
	return outcome, true, err
}

// call makes the call. A panic of the adapter is an error of this call and nobody else's.
func (w *worker[W]) call(ctx context.Context, c Call) (outcome flow.Command, err error) {
	err = survive("call "+c.Kind, func() (err error) {
		outcome, err = w.e.cfg.Callers[c.Kind](w.e.withTrace(ctx, c.traceparent), c)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case outcome == nil:
		return nil, errors.New("the call had no outcome")
	case outcome.Subject() != c.Subject:
		// The answer is decided under its subject's lock, which must be the one the call is closed under.
		return nil, fmt.Errorf("the outcome is about %q, the call about %q", outcome.Subject(), c.Subject)
	}
	return outcome, nil
}

// answer hands the outcome to the command lane. A full lane is waited for.
func (w *worker[W]) answer(ctx context.Context, c Call, outcome flow.Command) error {
	work := &work{
		item: item{
			input: flow.Input{
				Kind: flow.KindAnswer, Subject: outcome.Subject(), Msg: outcome, Meta: flow.Meta{Cause: c.cause},
			},
			root: c.root, traceparent: c.traceparent,
		},
		call: &c, done: make(chan error, 1),
	}
	for failures := 1; ; failures++ {
		err := w.e.lane.submit(work)
		if err == nil {
			return <-work.done
		}
		if failures > 20 {
			return err
		}
		pause(ctx, failures)
	}
}

// again has the call made again after a pause that grows with its attempts.
func (w *worker[W]) again(c Call, err error) {
	w.retryMu.Lock()
	w.retries = append(w.retries, retry{call: c, err: storable(err.Error()), wait: backoff(c.Attempt)})
	w.retryMu.Unlock()
	w.wakeUp()
}

// giveBack has a call that was not sent, and will not be by this claim, made at once by whoever has a slot, instead
// of when the claim ends. Where somebody else has claimed it since, nothing changes.
func (w *worker[W]) giveBack(c Call) {
	w.retryMu.Lock()
	w.retries = append(w.retries, retry{call: c})
	w.retryMu.Unlock()
	w.wakeUp()
}

// backoff waits 250 ms, doubling up to a minute, half of it random.
func backoff(attempt int) time.Duration {
	d := min(250*time.Millisecond<<min(attempt-1, 12), time.Minute)
	return d/2 + rand.N(d/2)
}

// saveRetries writes when failed calls are due again, all in one statement.
func (w *worker[W]) saveRetries() {
	w.retryMu.Lock()
	retries := w.retries
	w.retries = nil
	w.retryMu.Unlock()
	if len(retries) == 0 {
		return
	}
	n := len(retries)
	subjects, kinds, errs := make([]string, n), make([]string, n), make([]string, n)
	attempts, waits := make([]int32, n), make([]time.Duration, n)
	for i, r := range retries {
		subjects[i], kinds[i], errs[i] = r.call.Subject, r.call.Kind, r.err
		attempts[i], waits[i] = int32(r.call.Attempt), r.wait
	}
	ctx, cancel := context.WithTimeout(context.Background(), txTimeout)
	defer cancel()
	// SKIP LOCKED: who holds such a row is closing or withdrawing the call, in an order of its own.
	_, err := w.e.cfg.Pool.Exec(ctx, `
		UPDATE call c SET due_at = clock_timestamp() + k.wait, last_error = coalesce(nullif(k.error, ''), c.last_error)
		FROM (SELECT c.subject, c.kind, k.wait, k.error
		      FROM call c JOIN unnest($1::text[], $2::text[], $3::int[], $4::interval[], $5::text[])
		           AS k(subject, kind, attempt, wait, error) USING (subject, kind)
		      WHERE c.attempts = k.attempt AND c.state = 0
		      FOR UPDATE OF c SKIP LOCKED) AS k
		WHERE c.subject = k.subject AND c.kind = k.kind`,
		subjects, kinds, attempts, waits, errs)
	if err != nil {
		w.e.log.Warn("save when calls are due again; they are when their leases end", "calls", n, "error", err)
	}
}

// closeCalls queues what marks the calls whose answers are in the batch as answered; the map then has those answers that
// count: one whose call was answered, withdrawn or claimed anew meanwhile does not, nor does one about a parked subject.
func closeCalls(b *pg.Batch, todo []*work) map[*work]bool {
	type key struct {
		subject, kind string
		attempt       int
	}
	answers := map[key]*work{}
	for _, w := range todo {
		if w.call != nil {
			answers[key{w.call.Subject, w.call.Kind, w.call.Attempt}] = w
		}
	}
	if len(answers) == 0 {
		return nil
	}
	var ids, kinds []string
	var attempts []int32
	for k := range answers {
		ids, kinds, attempts = append(ids, k.subject), append(kinds, k.kind), append(attempts, int32(k.attempt))
	}
	open := map[*work]bool{}
	// The subjects' locks are held, so nobody else who waits for such a row holds another one. Whether a subject is parked
	// is read after its lock was waited for: the statement that locked it has seen what was committed before.
	b.Queue("close calls", `
		UPDATE call c SET state = $4
		FROM unnest($1::text[], $2::text[], $3::int[]) AS k(subject, kind, attempt)
		WHERE c.subject = k.subject AND c.kind = k.kind AND c.attempts = k.attempt AND c.state = $5
		      AND NOT EXISTS (SELECT FROM subject s WHERE s.id = k.subject AND s.parked)
		RETURNING c.subject, c.kind, c.attempts`, ids, kinds, attempts, callAnswered, callPending).
		Query(func(rows pgx.Rows) error {
			var k key
			_, err := pgx.ForEachRow(rows, []any{&k.subject, &k.kind, &k.attempt}, func() error { open[answers[k]] = true; return nil })
			return err
		})
	return open
}
