package simulator

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// machine is a service's deciding part over its tables, whatever its World.
type machine interface {
	name() string
	topics() []string
	consumes(eventType string) bool
	// concerns says whether a decoded event is the service's business.
	concerns(event any) bool
	open() decider
}

// decider is one batch: what its Store's Load locks and reads, the decisions, and what Save writes.
type decider interface {
	// locks lists the rows that Load locks, in its order, by what is committed now.
	locks(in []flow.Input) []lockKey
	load(in []flow.Input)
	decide(in flow.Input) (flow.Outcome, error)
	// save holds what changed against the constraints and returns the writes.
	save() ([]func(), error)
}

// tables is a service's database as its Store sees it.
type tables[W any] interface {
	locks(in []flow.Input) []lockKey
	load(w *W, in []flow.Input)
	save(w *W) ([]func(), error)
}

// unit runs the service's real definition.
type unit[W any] struct {
	def    *flow.Definition[W]
	tables tables[W]
}

func (u *unit[W]) name() string                   { return u.def.Name() }
func (u *unit[W]) topics() []string               { return u.def.Topology().Topics() }
func (u *unit[W]) consumes(eventType string) bool { return u.def.Consumes(eventType) }
func (u *unit[W]) concerns(event any) bool        { return u.def.Concerns(event) }
func (u *unit[W]) open() decider                  { return &batch[W]{unit: u} }

type batch[W any] struct {
	unit  *unit[W]
	world *W
}

func (b *batch[W]) locks(in []flow.Input) []lockKey { return b.unit.tables.locks(in) }

func (b *batch[W]) load(in []flow.Input) {
	b.world = new(W)
	b.unit.tables.load(b.world, in)
}

func (b *batch[W]) decide(in flow.Input) (flow.Outcome, error) { return b.unit.def.Decide(b.world, in) }

func (b *batch[W]) save() ([]func(), error) { return b.unit.tables.save(b.world) }

// fetch loads one row, if it is there.
func fetch[R any](rows *flow.Rows[string, R], table map[string]R, key string) {
	if row, there := table[key]; there {
		rows.Loaded(key, row)
	}
}

// upsert writes rows as INSERT … ON CONFLICT DO UPDATE does.
func upsert[R any](table map[string]R, changes []flow.Change[string, R]) func() {
	return func() {
		for _, c := range changes {
			table[c.Key] = c.Row
		}
	}
}

// write writes rows as an INSERT of the new ones and an UPDATE of the others do. A new one that is there
// already violates its key.
func write[R any](table map[string]R, changes []flow.Change[string, R], key string) (func(), error) {
	for _, c := range changes {
		if _, there := table[c.Key]; c.New && there {
			return nil, unique(key)
		}
	}
	return upsert(table, changes), nil
}
