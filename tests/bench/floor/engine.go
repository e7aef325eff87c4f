package floor

import (
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// This file has the tables that every service has: the engine's.

func literal(n int64) string { return strconv.FormatInt(n, 10) }

func eventUUID(n int) func(*order) pgtype.UUID {
	return func(o *order) pgtype.UUID { return o.events[n].uuid }
}

func eventID(n int) func(*order) string {
	return func(o *order) string { return o.events[n].id }
}

func orderID(name string) column { return text(name, func(o *order) string { return o.id }) }
func userID(name string) column  { return text(name, func(o *order) string { return o.user }) }

// subject is the row that an order has in every service that has to do with it. It is made right for the
// event that is emitted at once, if one is.
func subject(emits int64) statement {
	return insert("subject", orderID("id"), same("emitted", literal(emits)), text("root", eventID(created)),
		text("trace", func(o *order) string { return o.trace }))
}

// emitted counts an event that the service emits later.
func emitted(sequence int64) statement {
	return update("subject", orderID("id"), same("emitted", literal(sequence)))
}

// inbox notes an event that the service dealt with.
func inbox(n int) statement { return insert("inbox", today("day"), id("event_id", eventUUID(n))) }

// fence moves a topic's partitions on: one row each and batch.
func fence(topic string) statement {
	return statement{
		sql:  `UPDATE fence SET next_offset = next_offset + $1 WHERE topic = $2`,
		args: []func(*batch) any{func(b *batch) any { return int64(len(b.orders)) }, func(*batch) any { return topic }},
	}
}

// consumed is what every step has that takes an event: the topic's fence and the inbox.
func consumed(n int, then ...statement) []statement {
	return append([]statement{fence(facts[n].topic), inbox(n)}, then...)
}

// callAsked is a call that its service claims as it asks for it: the lease is in the row from the start.
func callAsked(kind string, body func(*order) string) statement {
	return insert("call", orderID("subject"), same("kind", "'"+kind+"'"),
		bytes("body", func(o *order) []byte { return []byte(body(o)) }), same("attempts", "1"), now("due_at", 15*time.Second),
		text("cause", eventID(completed)), text("root", eventID(created)),
		text("traceparent", func(o *order) string { return o.trace }), now("created_at", 0))
}

func callAnswered(kind string) statement {
	s := update("call", orderID("subject"), same("state", "1"))
	s.sql += " AND t.kind = '" + kind + "'"
	return s
}
