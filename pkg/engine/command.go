package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// Request is a command with what makes it safe to send twice.
type Request struct {
	// Member is who sends it; idempotency keys are the member's own.
	Member string
	// Key is the Idempotency-Key; empty: the command gets one of its own.
	Key string
	// BodyHash tells two requests with the same key apart.
	BodyHash []byte
	Command  flow.Command
	// TraceParent is the request's W3C trace context, passed on to all that follows from it.
	TraceParent string
}

// Answer is what a command was answered, now or the first time.
type Answer struct {
	Status  int             `json:"status"`
	Body    json.RawMessage `json:"body,omitempty"`
	Refusal *fault.Refusal  `json:"refusal,omitempty"`
	// Replayed: the key was used before, this is the first answer again.
	Replayed bool `json:"-"`
}

// Do puts a command into the next batch of the command lane and returns its answer after COMMIT. A
// refusal is an Answer; an error means that the outcome is not known to the caller (ctx ended, the
// engine stops): sending the same key again finds out.
func (e *Engine[W]) Do(ctx context.Context, r Request) (Answer, error) {
	id := uuid.Must(uuid.NewV7()).String()
	if r.Key == "" {
		r.Key = id
	}
	w := &work{
		item: item{
			input: flow.Input{
				Kind: flow.KindCommand, Subject: r.Command.Subject(), Msg: r.Command,
				Meta: flow.Meta{Cause: id},
			},
			commandID: id, traceparent: r.TraceParent,
		},
		request: &r,
		done:    make(chan error, 1),
	}
	if err := e.lane.submit(w); err != nil {
		return Answer{}, err
	}
	select {
	case err := <-w.done:
		return w.answer, err
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("wait for the command's answer: %w", context.Cause(ctx))
	}
}

var errKeyRace = errors.New("an idempotency key was used by another replica meanwhile")

func reused() *fault.Refusal {
	return fault.Unprocessable("idempotency_key_reused", "the key was used with another request body")
}

// commandKey is what makes two requests one.
type commandKey struct{ member, key string }

func (w *work) commandKey() commandKey { return commandKey{w.request.Member, w.request.Key} }

// storedAnswer is a row of the command table.
type storedAnswer struct {
	id     string
	hash   []byte
	answer []byte
}

// recall answers the commands whose key was used before, from the table or by another of the same
// batch, and returns those that are to be decided. One of the same batch gets the first one's answer:
// a follower.
func recall(ctx context.Context, tx *pg.Tx, commands []*work, rerun bool) (todo []*work, followers map[*work]*work, err error) {
	if len(commands) == 0 {
		return nil, nil, nil
	}
	stored, err := storedAnswers(ctx, tx, commands, rerun)
	if err != nil {
		return nil, nil, err
	}
	first := map[commandKey]*work{}
	followers = map[*work]*work{}
	for _, w := range commands {
		k := w.commandKey()
		if s, ok := stored[k]; ok {
			if err := w.remember(s); err != nil {
				return nil, nil, err
			}
			continue
		}
		switch leader := first[k]; {
		case leader == nil:
			first[k] = w
			todo = append(todo, w)
		case bytes.Equal(leader.request.BodyHash, w.request.BodyHash):
			followers[w] = leader
		default:
			w.refuse(reused())
		}
	}
	return todo, followers, nil
}

// storedAnswers looks the keys up. One that was made for its command here can only have been used by an earlier run of
// the same batch, so the first run does not look for it.
func storedAnswers(ctx context.Context, tx *pg.Tx, commands []*work, rerun bool) (map[commandKey]storedAnswer, error) {
	var members, keys []string
	for _, w := range commands {
		if rerun || w.request.Key != w.commandID {
			members, keys = append(members, w.request.Member), append(keys, w.request.Key)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	stored := make(map[commandKey]storedAnswer)
	b := &pg.Batch{}
	b.Queue("look up idempotency keys", `
		SELECT member, key, id, body_hash, answer FROM command
		WHERE (member, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))`, members, keys).
		Query(func(rows pgx.Rows) error {
			var k commandKey
			var s storedAnswer
			_, err := pgx.ForEachRow(rows, []any{&k.member, &k.key, &s.id, &s.hash, &s.answer}, func() error { stored[k] = s; return nil })
			return err
		})
	return stored, tx.Send(ctx, b)
}

// remember takes the stored answer. Stored by this very command it is not a replay: the batch is a
// rerun after a COMMIT whose outcome was unknown.
func (w *work) remember(s storedAnswer) error {
	if !bytes.Equal(s.hash, w.request.BodyHash) {
		w.refuse(reused())
		return nil
	}
	w.answer = Answer{}
	if err := json.Unmarshal(s.answer, &w.answer); err != nil {
		return fmt.Errorf("stored answer: %w", err)
	}
	w.answer.Replayed = s.id != w.commandID
	return nil
}

func (w *work) refuse(r *fault.Refusal) { w.answer = Answer{Status: r.Status, Refusal: r} }

// reply makes the answer of what the decision said.
func (w *work) reply() error {
	r := w.outcome.Reply
	w.answer = Answer{Status: r.Status, Refusal: r.Refusal}
	if r.Refusal != nil {
		w.answer.Status = r.Refusal.Status
		return nil
	}
	if r.Body == nil {
		return nil
	}
	body, err := json.Marshal(r.Body)
	if err != nil {
		return &fault.PanicError{Where: fmt.Sprintf("%T", w.input.Msg), Value: fmt.Errorf("encode the answer: %w", err)}
	}
	w.answer.Body = body
	return nil
}

// saveAnswers queues what keeps the answers under their keys. A key that another replica committed meanwhile violates
// the primary key and fails the batch (see usedMeanwhile): it is run again and finds that answer. The insert waits for a
// transaction that has the same key and is not finished, so of two exactly one decides.
func saveAnswers(b *pg.Batch, decided []*work, now time.Time) error {
	kept := slices.DeleteFunc(slices.Clone(decided), func(w *work) bool { return w.outcome.Reply.Forget })
	if len(kept) == 0 {
		return nil
	}
	slices.SortFunc(kept, func(a, b *work) int {
		return cmp.Or(cmp.Compare(a.request.Member, b.request.Member), cmp.Compare(a.request.Key, b.request.Key))
	})
	n := len(kept)
	members, keys, ids := make([]string, n), make([]string, n), make([]string, n)
	hashes, answers := make([][]byte, n), make([][]byte, n)
	for i, w := range kept {
		stored, err := json.Marshal(w.answer)
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		members[i], keys[i], ids[i] = w.request.Member, w.request.Key, w.commandID
		hashes[i], answers[i] = w.request.BodyHash, stored
		if hashes[i] == nil {
			hashes[i] = []byte{}
		}
	}
	b.Queue("keep answers", `
		INSERT INTO command (member, key, id, body_hash, answer, created_at)
		SELECT member, key, id, body_hash, answer, $6::timestamptz
		FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
		     WITH ORDINALITY AS k(member, key, id, body_hash, answer, n)
		ORDER BY n`, members, keys, ids, hashes, answers, now)
	return nil
}

// usedMeanwhile says whether a batch failed because of a key that another replica has used.
func usedMeanwhile(err error) bool {
	var violation *pgconn.PgError
	return errors.As(err, &violation) && violation.TableName == "command" && violation.ConstraintName == "command_pkey"
}
