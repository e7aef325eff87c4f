package flow

import (
	"cmp"
	"encoding/json"
	"iter"
	"maps"
	"slices"
)

// Rows is one table of a World: the rows as Load found them, and what the decisions of the batch
// made of them since. A row is a value: a decision gets a copy, and what it does not Put back did
// not happen. Slices and maps inside a row are replaced, never changed in place.
type Rows[K cmp.Ordered, R any] struct {
	rows    map[K]R
	changed map[K]struct{}
	fresh   map[K]struct{}
}

// Loaded records a row as it stands in the database. Only Load calls it.
func (t *Rows[K, R]) Loaded(key K, row R) {
	if t.rows == nil {
		t.rows = map[K]R{}
	}
	t.rows[key] = row
}

// Get returns the row as it stands after the decisions so far, and whether there is one.
func (t *Rows[K, R]) Get(key K) (R, bool) {
	row, ok := t.rows[key]
	return row, ok
}

// Put is how a decision changes a row, or makes a new one.
func (t *Rows[K, R]) Put(key K, row R) {
	if t.rows == nil {
		t.rows = map[K]R{}
	}
	if _, known := t.rows[key]; !known {
		if t.fresh == nil {
			t.fresh = map[K]struct{}{}
		}
		t.fresh[key] = struct{}{}
	}
	if t.changed == nil {
		t.changed = map[K]struct{}{}
	}
	t.rows[key] = row
	t.changed[key] = struct{}{}
}

// Change is one row that Save has to write.
type Change[K cmp.Ordered, R any] struct {
	Key K
	Row R
	// New: there was no such row when the batch was loaded.
	New bool
}

// Changed lists what Save has to write, sorted by key: set-wise statements take their locks in one
// order in every replica, so that two batches wait for each other instead of deadlocking.
func (t *Rows[K, R]) Changed() []Change[K, R] {
	out := make([]Change[K, R], 0, len(t.changed))
	for _, key := range slices.Sorted(maps.Keys(t.changed)) {
		_, isNew := t.fresh[key]
		out = append(out, Change[K, R]{Key: key, Row: t.rows[key], New: isNew})
	}
	return out
}

// All yields every row, sorted by key.
func (t *Rows[K, R]) All() iter.Seq2[K, R] {
	return func(yield func(K, R) bool) {
		for _, key := range slices.Sorted(maps.Keys(t.rows)) {
			if !yield(key, t.rows[key]) {
				return
			}
		}
	}
}

// Len is the number of rows.
func (t *Rows[K, R]) Len() int { return len(t.rows) }

// MarshalJSON writes the rows by key, sorted: equal tables give equal bytes, which is how the
// explorer knows a state again.
func (t Rows[K, R]) MarshalJSON() ([]byte, error) {
	if t.rows == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(t.rows)
}

// UnmarshalJSON reads what MarshalJSON wrote, as rows loaded and not changed.
func (t *Rows[K, R]) UnmarshalJSON(data []byte) error {
	*t = Rows[K, R]{}
	return json.Unmarshal(data, &t.rows)
}
