package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
)

// work is one thing for the command lane: a command, an answer or a deadline.
type work struct {
	item
	request *Request // of a command
	call    *Call    // of an answer
	answer  Answer
	done    chan error
}

// lane takes commands, answers of calls and deadlines through the same Load, decide and Save as events,
// with a transaction of its own. It has no fence and no poll, so an HTTP request never waits for a
// rebalance, and a thousand concurrent requests share a handful of transactions.
type lane[W any] struct {
	e     *Engine[W]
	queue chan *work

	mu    sync.RWMutex
	ended bool
}

func newLane[W any](e *Engine[W]) *lane[W] {
	return &lane[W]{e: e, queue: make(chan *work, max(1_000, 4*e.tuning.BatchMax))}
}

// errClosed is answered to work that comes after the lane has ended.
var errClosed error = fault.Unavailable("service_unavailable", "the service is stopping", time.Second)

// submit queues work. A full queue is answered at once: waiting would only make it longer. The lock is
// held while it queues, so that nothing gets in behind the lane's last look at its queue.
func (l *lane[W]) submit(w *work) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.ended {
		return errClosed
	}
	select {
	case l.queue <- w:
		return nil
	default:
		return fault.Unavailable("service_unavailable", "too many requests are waiting", time.Second)
	}
}

// run gathers and commits until ctx ends, then finishes what was queued.
func (l *lane[W]) run(ctx context.Context) error {
	var lastStart time.Time
	for {
		var batch []*work
		select {
		case w := <-l.queue:
			batch = append(batch, w)
		case <-ctx.Done():
			l.mu.Lock()
			l.ended = true
			l.mu.Unlock()
			for rest := l.gather(nil); len(rest) > 0; rest = l.gather(nil) {
				l.finish(rest)
			}
			return nil
		}
		sleep(ctx, time.Until(lastStart.Add(l.e.tuning.Pace)))
		lastStart = time.Now()
		l.finish(l.gather(batch))
	}
}

// gather takes what has accumulated, up to a batch.
func (l *lane[W]) gather(batch []*work) []*work {
	for len(batch) < l.e.tuning.BatchMax {
		select {
		case w := <-l.queue:
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// finish commits the batch and tells everybody. A transient failure is tried again for as long as a
// caller may be waiting; a deterministic one halves the batch, until the one command that cannot be
// decided stands alone, fails there twice, and is answered with an error. Commands are never parked:
// the caller is there to be told.
func (l *lane[W]) finish(batch []*work) {
	deadline, alone := time.Now().Add(2*txTimeout), 0
	for failures := 1; ; failures++ {
		err := l.commit(batch, failures > 1)
		class := fault.Classify(err)
		if err != nil && !errors.Is(err, errKeyRace) {
			l.e.metrics.retries.WithLabelValues("command", class.String()).Inc()
		}
		switch {
		case err == nil:
			tell(batch, nil)
			return
		case errors.Is(err, errKeyRace) && failures < 3:
			// The next run finds the other replica's answer.
		case class == fault.Deterministic && len(batch) > 1:
			l.finish(batch[:len(batch)/2])
			l.finish(batch[len(batch)/2:])
			return
		case class == fault.Deterministic && alone == 0:
			alone++ // a race on a row that nobody locks looks like this too, once
		case class == fault.Deterministic, time.Now().After(deadline):
			l.e.log.Error("input failed", "subject", batch[0].input.Subject, "input", fmt.Sprintf("%T", batch[0].input.Msg), "inputs", len(batch), "error", err)
			tell(batch, err)
			return
		default:
			l.e.log.Warn("command batch failed, the same again", "inputs", len(batch), "failures", failures, "error", err)
			pause(context.Background(), failures)
		}
	}
}

func tell(batch []*work, err error) {
	for _, w := range batch {
		w.done <- err
	}
}

// commit runs one batch in one transaction. Nothing is answered before COMMIT. A rerun may find what it committed itself.
func (l *lane[W]) commit(batch []*work, rerun bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), txTimeout)
	defer cancel()
	started := time.Now()
	var calls *callBook
	err := pg.Transact(ctx, l.e.cfg.Pool, func(tx *pg.Tx) (err error) {
		calls, err = l.decide(ctx, tx, batch, rerun)
		return err
	})
	if usedMeanwhile(err) {
		return errKeyRace
	}
	if err != nil {
		return err
	}
	l.e.cfg.Wake()
	l.e.worker.start(calls.mine, started)
	l.e.metrics.batch("command", len(batch), time.Since(started))
	return nil
}

func (l *lane[W]) decide(ctx context.Context, tx *pg.Tx, batch []*work, rerun bool) (*callBook, error) {
	var commands []*work
	for _, w := range batch {
		w.outcome = flow.Outcome{}
		if w.request != nil {
			commands = append(commands, w)
		}
	}
	commands, followers, err := recall(ctx, tx, commands, rerun)
	if err != nil {
		return nil, err
	}
	todo := commands
	for _, w := range batch {
		if w.request == nil {
			todo = append(todo, w)
		}
	}
	from := make(origins, len(todo))
	for _, w := range todo {
		w.input.Meta.IDs = newIDs()
		from.add(&w.item, l.e.habit.of(w.input.Msg))
	}
	opening := &pg.Batch{}
	lock := lockSubjects(opening, from)
	open := closeCalls(opening, todo)
	if err := tx.Send(ctx, opening); err != nil {
		return nil, err
	}
	subjects, now, err := lock.result()
	if err != nil {
		return nil, err
	}
	items, decided := admit(todo, subjects, open)
	calls, err := l.e.apply(ctx, tx, subjects, now, items)
	if err != nil {
		return nil, err
	}
	for _, w := range decided {
		if err := w.reply(); err != nil {
			return nil, err
		}
	}
	if err := saveAnswers(tx.Last(), decided, now); err != nil {
		return nil, err
	}
	for w, leader := range followers {
		w.answer = leader.answer
		w.answer.Replayed = true
	}
	return calls, nil
}

// admit picks what is decided now. On a parked subject a command is answered 503, a deadline waits for
// the next sweep, and an answer stays with its call, which is made again under the same key later.
func admit(todo []*work, subjects map[string]*subject, open map[*work]bool) (items []*item, decided []*work) {
	for _, w := range todo {
		parked := subjects[w.input.Subject].parked
		switch {
		case w.request != nil && parked:
			w.refuse(fault.Unavailable("order_parked", "an event of this order waits for an operator", time.Minute))
		case w.request != nil:
			items, decided = append(items, &w.item), append(decided, w)
		case w.call != nil && !open[w], parked:
		default:
			items = append(items, &w.item)
		}
	}
	return items, decided
}
