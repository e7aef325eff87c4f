package engine

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/outbox"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// item is one input on its way through a batch, with what its emissions inherit.
type item struct {
	input       flow.Input
	commandID   string // of a command: its id, for ce_commandid
	root        string // ce_correlationid of what came in; empty for a command
	traceparent string
	outcome     flow.Outcome
}

// newIDs gives a decision its ids: UUIDv7, made when asked for. A batch that is run again makes new
// ones, which is right: nothing of the first run was kept, or the run is recognised and not decided.
func newIDs() func(int) string {
	var ids []string
	return func(i int) string {
		for len(ids) <= i {
			ids = append(ids, uuid.Must(uuid.NewV7()).String())
		}
		return ids[i]
	}
}

// habit remembers how many events the last decision on each type of input emitted. It is a guess about the next
// one, and nothing more: what it says wrong costs a statement.
type habit struct {
	mu   sync.Mutex
	last map[reflect.Type]int32
}

func (h *habit) note(msg any, emitted int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil {
		h.last = map[reflect.Type]int32{}
	}
	h.last[reflect.TypeOf(msg)] = int32(emitted)
}

func (h *habit) of(msg any) int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[reflect.TypeOf(msg)]
}

// apply is the heart of every lane: Load, decide each in order, Save, outbox. The subjects of all items
// are locked. What it writes goes out with COMMIT; on an error nothing of the transaction may be kept. The calls it
// returns are known once the transaction has committed.
func (e *Engine[W]) apply(ctx context.Context, tx *pg.Tx, subjects map[string]*subject, now time.Time, items []*item) (*callBook, error) {
	calls := &callBook{now: now, room: e.worker.room(), lease: e.tuning.CallLease}
	if len(items) == 0 {
		saveSubjects(tx.Last(), subjects)
		return calls, nil
	}
	inputs := make([]flow.Input, len(items))
	for i, it := range items {
		it.input.Meta.Now = now
		inputs[i] = it.input
	}
	var world *W
	err := survive("load", func() (err error) {
		world, err = e.cfg.Store.Load(ctx, tx, inputs)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	var records []outbox.Record
	for i, it := range items {
		s := subjects[it.input.Subject]
		if it.traceparent == "" {
			it.traceparent = s.trace // a deadline: it belongs to the trace that opened the wait
		}
		span := e.startSpan(it)
		it.outcome, err = e.cfg.Definition.Decide(world, inputs[i])
		if err != nil {
			span.fail(err)
			return nil, fmt.Errorf("decide %T of %s: %w", it.input.Msg, it.input.Subject, err)
		}
		e.habit.note(it.input.Msg, len(it.outcome.Events))
		if records, err = e.emit(records, s, it, now); err == nil {
			err = calls.add(it, s)
		}
		if err != nil {
			span.fail(err)
			return nil, &fault.PanicError{Where: fmt.Sprintf("%T", it.input.Msg), Value: err}
		}
		span.end()
	}
	if err := survive("save", func() error { return e.cfg.Store.Save(tx.Last(), world) }); err != nil {
		return nil, fmt.Errorf("save: %w", err)
	}
	calls.save(tx.Last())
	if calls.left {
		e.worker.left.Store(true)
	}
	saveSubjects(tx.Last(), subjects)
	e.metrics.emitted.Add(float64(len(records)))
	outbox.Queue(tx.Last(), records)
	return calls, nil
}

// survive makes an error of a panic, as Decide does: an event that makes Load or Save panic would
// otherwise end the process, and again after every restart.
func survive(where string, do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &fault.PanicError{Where: where, Value: v, Stack: debug.Stack()}
		}
	}()
	return do()
}

// emit turns what a decision returned into outbox records, numbered under the subject's lock. It fails
// only for what the decision made, so its errors are deterministic.
func (e *Engine[W]) emit(records []outbox.Record, s *subject, it *item, now time.Time) ([]outbox.Record, error) {
	name := e.cfg.Definition.Name()
	for _, em := range it.outcome.Events {
		if s.root == "" {
			s.root = it.root
		}
		if s.root == "" {
			s.root = em.ID // the first event of a chain
		}
		if em.Cause == "" && s.root != em.ID {
			// A command on something that exists: without a better cause, the chain's first event.
			em.Cause = s.root
		}
		s.emitted++
		eventType := string(em.Message.ProtoReflect().Descriptor().FullName())
		var payload []byte
		if !em.Erased {
			var err error
			if payload, err = proto.Marshal(em.Message); err != nil {
				return nil, fmt.Errorf("encode %s: %w", eventType, err)
			}
		}
		id, err := uuid.Parse(em.ID)
		if err != nil {
			return nil, fmt.Errorf("event id of %s: %w", eventType, err)
		}
		envelope := kafka.Envelope{
			ID: em.ID, Type: eventType, Source: "/quadrille/" + name, Subject: s.id, Time: now,
			Sequence: int64(s.emitted), Causation: em.Cause, Command: it.commandID,
			Correlation: s.root, TraceParent: it.traceparent,
		}
		records = append(records, outbox.Record{
			Topic: e.cfg.Kafka.Topic(flow.Topic(eventType)), Key: s.id,
			EventID: id, Seq: s.emitted, Headers: envelope.Headers(), Payload: payload, Null: em.Erased,
		})
	}
	return records, nil
}
