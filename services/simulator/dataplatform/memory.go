package dataplatform

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/journal"
)

// Fact is one event, as often as it came.
type Fact struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Sequence   int64     `json:"sequence"`
	OccurredAt time.Time `json:"occurredAt"`
	// Times is in how many different batches of the live stream it came, Replays in how many of replays.
	Times   int `json:"times"`
	Replays int `json:"replays"`
}

// Order is what came about an order; or about a product, whose id stands there the same way.
type Order struct {
	OrderID string `json:"orderId"`
	Facts   []Fact `json:"facts"`
}

// Totals is how much came.
type Totals struct {
	// Batches that were taken, those of replays among them; RepeatedBatches: deliveries of one that was taken before.
	Batches         int `json:"batches"`
	ReplayBatches   int `json:"replayBatches"`
	RepeatedBatches int `json:"repeatedBatches"`
	// Facts are different ones. MoreThanOnce: those of them that came in several batches of the live stream.
	Facts        int `json:"facts"`
	MoreThanOnce int `json:"moreThanOnce"`
	// Replayed facts came in replays, OnlyReplayed in nothing else.
	Replayed     int `json:"replayed"`
	OnlyReplayed int `json:"onlyReplayed"`
	// OutOfOrder facts came behind one of the same service about the same subject with a higher sequence.
	OutOfOrder int `json:"outOfOrder"`
	// WithoutData came of a type that the sender did not know.
	WithoutData int `json:"withoutData"`
}

// entry is a line of the journal: a batch that was taken, or the id of one that came again.
type entry struct {
	Batch *received `json:"batch,omitempty"`
	Again string    `json:"again,omitempty"`
}

// received is what is kept of a batch.
type received struct {
	ID     string  `json:"id"`
	Replay bool    `json:"replay"`
	Facts  []noted `json:"facts"`
}

type noted struct {
	ID       string    `json:"i"`
	Type     string    `json:"t"`
	Subject  string    `json:"s"`
	Service  string    `json:"v"`
	Sequence int64     `json:"n"`
	At       time.Time `json:"at"`
	Opaque   bool      `json:"o,omitempty"`
}

// errOther says that a batch's id came before, with other facts.
var errOther = errors.New("this id came with other facts before")

// memory is what came.
type memory struct {
	journal *journal.Journal

	mu       sync.Mutex
	batches  map[string]uint64 // by id, what they held
	subjects []string          // in the order in which they came first
	about    map[string][]*Fact
	facts    map[string]*Fact
	types    map[string]string // each type once: there are few, and many facts
	newest   map[string]int64  // the highest sequence of a service about a subject
	totals   Totals
}

func openMemory(dir string) (*memory, error) {
	m := &memory{
		batches: map[string]uint64{}, about: map[string][]*Fact{}, facts: map[string]*Fact{}, types: map[string]string{}, newest: map[string]int64{},
	}
	j, err := journal.Open(dir, func(line []byte) error {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("decode a batch: %w", err)
		}
		m.apply(e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the data platform: %w", err)
	}
	m.journal = j
	return m, nil
}

// take keeps a batch, once, and returns when that is on the disk. repeated says that it was there.
func (m *memory) take(b received) (repeated bool, err error) {
	m.mu.Lock()
	held, repeated := m.batches[b.ID]
	if repeated && held != b.held() {
		m.mu.Unlock()
		return false, errOther
	}
	e := entry{Batch: &b}
	if repeated {
		e = entry{Again: b.ID}
	}
	line, err := json.Marshal(e)
	if err != nil {
		m.mu.Unlock()
		return false, fmt.Errorf("encode a batch: %w", err)
	}
	position := m.journal.Append(line)
	m.apply(e)
	m.mu.Unlock()
	return repeated, m.journal.Sync(position)
}

// held tells batches apart by their facts.
func (b received) held() uint64 {
	sum := fnv.New64a()
	for _, f := range b.Facts {
		_, _ = sum.Write([]byte(f.ID)) // never fails
	}
	return sum.Sum64()
}

// apply changes the memory; it must not decide anything, as replay runs it again.
func (m *memory) apply(e entry) {
	if e.Again != "" {
		m.totals.RepeatedBatches++
	}
	if e.Batch == nil {
		return
	}
	m.batches[e.Batch.ID] = e.Batch.held()
	m.totals.Batches++
	if e.Batch.Replay {
		m.totals.ReplayBatches++
	}
	for _, n := range e.Batch.Facts {
		m.note(n, e.Batch.Replay)
	}
}

func (m *memory) note(n noted, replay bool) {
	f := m.facts[n.ID]
	if f == nil {
		if _, known := m.types[n.Type]; !known {
			m.types[n.Type] = n.Type
		}
		if _, known := m.about[n.Subject]; !known {
			m.subjects = append(m.subjects, n.Subject)
		}
		f = &Fact{ID: n.ID, Type: m.types[n.Type], Sequence: n.Sequence, OccurredAt: n.At}
		m.facts[n.ID], m.about[n.Subject] = f, append(m.about[n.Subject], f)
		m.totals.Facts++
		if n.Opaque {
			m.totals.WithoutData++
		}
	}
	if replay {
		m.replayed(f)
		return
	}
	m.live(f, n)
}

func (m *memory) replayed(f *Fact) {
	if f.Replays == 0 {
		m.totals.Replayed++
		if f.Times == 0 {
			m.totals.OnlyReplayed++
		}
	}
	f.Replays++
}

func (m *memory) live(f *Fact, n noted) {
	source := n.Service + "/" + n.Subject
	switch {
	case f.Times == 1:
		m.totals.MoreThanOnce++
	case f.Times == 0 && f.Replays > 0:
		m.totals.OnlyReplayed--
	}
	if f.Times == 0 {
		if n.Sequence < m.newest[source] {
			m.totals.OutOfOrder++
		}
		m.newest[source] = max(m.newest[source], n.Sequence)
	}
	f.Times++
}

// list returns up to limit orders, the newest first; orderID picks one, if not "".
func (m *memory) list(orderID string, limit int) (list []Order, more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list = []Order{}
	if orderID != "" {
		if _, known := m.about[orderID]; known {
			list = append(list, m.order(orderID))
		}
		return list, false
	}
	for _, id := range slices.Backward(m.subjects) {
		if len(list) == limit {
			return list, true
		}
		list = append(list, m.order(id))
	}
	return list, false
}

func (m *memory) order(id string) Order {
	o := Order{OrderID: id, Facts: make([]Fact, 0, len(m.about[id]))}
	for _, f := range m.about[id] {
		o.Facts = append(o.Facts, *f)
	}
	slices.SortFunc(o.Facts, func(a, b Fact) int { return cmp.Or(a.OccurredAt.Compare(b.OccurredAt), cmp.Compare(a.ID, b.ID)) })
	return o
}

func (m *memory) sum() Totals {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.totals
}

func (m *memory) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.subjects)
}

// settle returns when what was told before is on the disk: a crash must not take it back.
func (m *memory) settle() error { return m.journal.Sync(m.journal.End()) }
