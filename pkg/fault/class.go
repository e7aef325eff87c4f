package fault

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Class tells the engine what to do with a batch that failed.
type Class int

const (
	// Transient: run the same batch again with backoff. It is the default, because it is the answer that can do no
	// harm: fence and inbox make the second run a no-op if the first had committed after all. Its price, if wrong, is
	// a partition that stands still and says so; the price of a wrong Deterministic is an order parked for nothing.
	Transient Class = iota
	// Deterministic: it will fail the same way every time, so the batch is halved until the event stands alone, and
	// after its second failure its key is parked.
	Deterministic
)

// String gives the metric label.
func (c Class) String() string {
	if c == Deterministic {
		return "deterministic"
	}
	return "transient"
}

// Classify sorts an error. Only four things are Deterministic:
//
//   - *[DecodeError]: the bytes are in the log and do not change.
//   - *[PanicError]: deciding code is pure, so the same World and event give the same error or panic. If the World
//     changes in between (another order of the batch), the event standing alone on its second run shows it.
//   - SQLSTATE class 22, data exception: a value we computed that the column cannot hold (22003 out of range, 22001
//     too long, 22021 bad UTF-8). The same computation yields the same value.
//   - SQLSTATE class 23, integrity violation: a CHECK that states a rule (stock_never_negative), a NOT NULL, a foreign
//     key. All rows a batch decides about are locked before it decides, so no neighbour can have caused it. A 23505
//     could be a race on a row that nobody locks; halving runs it again at least twice, and a race does not come twice.
//
// Everything else is Transient, and these are the ones that have been mistaken for poison elsewhere:
//
//   - class 53 (53100 disk full, 53200 out of memory, 53300 too many connections) and 58 (I/O error): the machine's
//     trouble. Parking on them would park every order there is.
//   - class 40 (40001 serialization, 40P01 deadlock, 40003 completion unknown): the next run decides anew.
//   - 55P03 lock timeout, 57014 statement timeout, 25P03/25P04 idle or long transaction ended, 57P01-57P05 server
//     going down: somebody else holds things up.
//   - class 08, closed sockets, unexpected EOF, an unknown COMMIT: it may have committed; the rerun finds out.
//   - context.Canceled and DeadlineExceeded: we stop, or we were slow.
//   - class 42 (undefined table or column, no privilege) and 0A: a release and its migration do not match. It hits every
//     event alike, so it must stop the partition and call a person, not park orders one after the other.
//   - a *[Refusal]: it is an answer, not a failure; one that reaches here is a mistake in the wiring, loud by standing still.
//   - anything unknown.
//
// Wrapping does not matter. Of a joined error the deterministic part wins: a rollback that also fails because the
// connection is gone does not make bad data good.
func Classify(err error) Class {
	var decode *DecodeError
	var panicked *PanicError
	if errors.As(err, &decode) || errors.As(err, &panicked) {
		return Deterministic
	}
	switch state := SQLState(err); {
	case len(state) != 5:
		return Transient
	case state[:2] == "22", state[:2] == "23":
		return Deterministic
	default:
		return Transient
	}
}

// SQLState returns the five characters of the PostgreSQL error in the chain, or "". It asks for the method that
// *pgconn.PgError has, so this package needs no driver.
func SQLState(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}

// DecodeError is an event whose bytes or headers cannot be understood: broken protobuf, missing header, unknown version.
type DecodeError struct {
	// Type is the declared event type, "OrderCreated", as far as it is known.
	Type string
	// Reason is stable text without values: it groups failures.
	Reason string
	// Err is the decoder's own error, if there is one.
	Err error
}

func (e *DecodeError) Error() string {
	if e.Type == "" {
		return "decode an event without a type: " + e.Reason
	}
	if e.Err == nil {
		return fmt.Sprintf("decode %s: %s", e.Type, e.Reason)
	}
	return fmt.Sprintf("decode %s: %s: %v", e.Type, e.Reason, e.Err)
}

// Unwrap gives the decoder's error.
func (e *DecodeError) Unwrap() error { return e.Err }

// PanicError is a decide function that panicked or returned an error.
type PanicError struct {
	// Where names the decide function or the event type.
	Where string
	// Value is what was panicked with, or the returned error.
	Value any
	// Stack is the goroutine's stack at the panic; empty for a returned error.
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("decide %s: %v", e.Where, e.Value) }

// Unwrap gives the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Guard runs decide and turns its panic or error into a *PanicError, so that deciding code has one way to fail.
func Guard(where string, decide func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Where: where, Value: v, Stack: debug.Stack()}
		}
	}()
	if err := decide(); err != nil {
		return &PanicError{Where: where, Value: err}
	}
	return nil
}
