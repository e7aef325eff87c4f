package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// callBook collects the calls a batch asks for and takes back, to write them set-wise.
type callBook struct {
	now       time.Time
	asked     []askedCall
	withdrawn []flow.Withdrawal
	// room is how many of them this process claims as it asks for them, each for so long.
	room  int
	lease time.Duration
	// left: there was no room for some.
	left bool
	// mine are those that this process has claimed, once the transaction has committed.
	mine []Call
}

type askedCall struct {
	flow.Call
	body                     []byte
	cause, root, traceparent string
	state                    int16
}

// The states of a row of the call table.
const (
	callPending   = 0
	callAnswered  = 1
	callWithdrawn = 2
)

func (b *callBook) add(it *item, s *subject) error {
	cause := it.input.Meta.Cause
	if it.input.Kind == flow.KindCommand || cause == "" {
		// A command opens the wait with its own event, if it emits one.
		cause = s.root
		if n := len(it.outcome.Events); n > 0 {
			cause = it.outcome.Events[n-1].ID
		}
	}
	root := s.root
	if root == "" {
		root = it.root
	}
	for _, c := range it.outcome.Calls {
		body, err := json.Marshal(c.Body)
		if err != nil {
			return fmt.Errorf("encode the call %q of %s: %w", c.Kind, c.Subject, err)
		}
		b.asked = append(b.asked, askedCall{Call: c, body: body, cause: cause, root: root, traceparent: it.traceparent})
	}
	for _, w := range it.outcome.Withdrawn {
		b.withdraw(w)
	}
	return nil
}

// withdraw also marks a call that the same batch asked for: one by one it would have been written,
// then withdrawn, and a batch must leave what one by one would have left.
func (b *callBook) withdraw(w flow.Withdrawal) {
	for i := range b.asked {
		if b.asked[i].Subject == w.Subject && b.asked[i].Kind == w.Kind {
			b.asked[i].state = callWithdrawn
		}
	}
	b.withdrawn = append(b.withdrawn, w)
}

// save queues withdrawals first: a decision may take back one kind and ask for another. The calls it claims (mine) are
// this process's to make once the transaction has committed: a row written as claimed needs no second statement
// to be claimed. Should the process die before it makes them, or not hear that it has committed, their leases end
// like any other.
func (b *callBook) save(batch *pg.Batch) {
	if len(b.withdrawn) > 0 {
		b.saveWithdrawn(batch)
	}
	if len(b.asked) == 0 {
		return
	}
	slices.SortStableFunc(b.asked, func(x, y askedCall) int {
		return cmp.Or(cmp.Compare(x.Subject, y.Subject), cmp.Compare(x.Kind, y.Kind))
	})
	n := len(b.asked)
	subjects, kinds, causes := make([]string, n), make([]string, n), make([]string, n)
	roots, traces := make([]string, n), make([]string, n)
	bodies, due, states, attempts := make([][]byte, n), make([]time.Time, n), make([]int16, n), make([]int32, n)
	claimed := map[[2]string]Call{}
	for i, c := range b.asked {
		subjects[i], kinds[i], bodies[i], due[i] = c.Subject, c.Kind, c.body, b.now.Add(c.After)
		causes[i], roots[i], traces[i], states[i] = c.cause, c.root, c.traceparent, c.state
		key := [2]string{c.Subject, c.Kind}
		if _, again := claimed[key]; again || c.After > 0 || c.state != callPending {
			continue
		}
		if len(claimed) >= b.room {
			b.left = true
			continue
		}
		due[i], attempts[i] = b.now.Add(b.lease), 1
		claimed[key] = Call{
			Subject: c.Subject, Kind: c.Kind, Attempt: 1, Body: c.body, cause: c.cause, root: c.root, traceparent: c.traceparent,
		}
	}
	batch.Queue("save calls", `
		INSERT INTO call (subject, kind, body, due_at, cause, root, traceparent, state, attempts, created_at)
		SELECT subject, kind, body, due_at, cause, root, traceparent, state, attempts, $10
		FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::smallint[], $9::int[])
		     WITH ORDINALITY AS k(subject, kind, body, due_at, cause, root, traceparent, state, attempts, n)
		ORDER BY n -- of two of a kind the first one asked for counts
		ON CONFLICT (subject, kind) DO NOTHING
		RETURNING subject, kind, attempts`,
		subjects, kinds, bodies, due, causes, roots, traces, states, attempts, b.now).
		Query(func(rows pgx.Rows) error {
			var subject, kind string
			var attempt int
			_, err := pgx.ForEachRow(rows, []any{&subject, &kind, &attempt}, func() error {
				if c, ok := claimed[[2]string{subject, kind}]; ok && attempt == 1 {
					b.mine = append(b.mine, c)
				}
				return nil
			})
			return err
		})
}

func (b *callBook) saveWithdrawn(batch *pg.Batch) {
	var subjects, kinds []string
	for _, w := range b.withdrawn {
		subjects, kinds = append(subjects, w.Subject), append(kinds, w.Kind)
	}
	batch.Queue("withdraw calls", `
		UPDATE call c SET state = $3
		FROM unnest($1::text[], $2::text[]) AS k(subject, kind)
		WHERE c.subject = k.subject AND c.kind = k.kind AND c.state = $4`,
		subjects, kinds, callWithdrawn, callPending)
}
