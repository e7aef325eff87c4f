// Package fault holds the two questions everybody asks of an error, and the only answers to them.
//
// Is it a "no" that the caller must hear? Then it is a [Refusal]: it is answered, never retried and never parked.
// May the engine try the same batch again? [Classify] says so, with the argument for each class beside it.
//
// It imports nothing but the standard library, so deciding packages and proto-only subscribers may use it.
package fault
