// Package dataplatform decides what of the choreography is told to a data platform: every event, once, in the order
// of its partition, and again where an operator asks for it. Everything here is a pure function of its arguments; no
// clock, no I/O.
//
// Where "once" is guaranteed. The engine's fence keeps an event from being read twice; an event that a relay published
// twice (it died between the acknowledgement and the delete) stands twice on its topic, and is recognised by its id:
// the key of the table of facts. A fact is cut into exactly one batch of the live stream, in the statement that reads
// how far that stream is. A batch has an id that it keeps however often it is sent, so the platform tells a repeated
// batch from a new one; that is the platform's part of the contract, and the only one.
package dataplatform

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change.
type World struct {
	// Facts are those to write, in the order of their arrival; Load brings none: the database recognises the repeated
	// ones, which costs nothing while there are none.
	Facts []Fact
	// Archive is loaded where a replay is asked for.
	Archive Archive
	// Replays by id.
	Replays flow.Rows[string, Replay]
}

// Fact is one event as it stood on its topic.
type Fact struct {
	// Position is the order in which facts are exported, from 1, with gaps; given by the database, 0 in a World.
	Position int64
	ID       string // ce_id, UUIDv7
	// Type is the full type, quadrille.stock.v1.StockDecreased.
	Type string
	// Subject is the order id, or the product id of a product's event.
	Subject string
	// Sequence is per source and subject, gap-free from 1.
	Sequence   int64
	OccurredAt time.Time
	Causation  string // id of the event that caused it; "" for the first of a chain
	// Correlation is the id of the first event of the chain.
	Correlation string
	// Payload is the protobuf message. It may carry a provider's token, so it is never exported as it is: see Encode.
	Payload []byte
}

// Archive is what is kept of what was exported.
type Archive struct {
	// Exported is the position up to which everything is with the platform.
	Exported int64
	// KeptFrom is the day (UTC) from which all facts are kept; zero: none was dropped yet.
	KeptFrom time.Time
	// Open is how many replays are not done.
	Open int
}

// Replay is facts that are sent once more.
type Replay struct {
	ID string
	// From is the time of the oldest fact that is sent again; UpTo the position of the newest one.
	From time.Time
	UpTo int64
}
