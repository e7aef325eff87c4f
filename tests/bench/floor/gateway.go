package floor

import (
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// filed are an order's events in the order in which they reach the gateway, each with what the order's line
// says from then on. Seen is a set of bits there; only its size in the row matters, and that is fixed.
var filed = []struct {
	event int
	line  [2]string // status, step
}{
	{created, [2]string{"PENDING", "STOCK"}},
	{decreased, [2]string{"PENDING", "PAYMENT"}},
	{paid, [2]string{"PENDING", "PAYMENT"}},
	{completed, [2]string{"COMPLETED", "SHIPPING"}},
	{prepared, [2]string{"COMPLETED", "SHIPPING"}},
}

// gatewaySteps files the five events in as many transactions as touches says; the first ones come together,
// as they follow each other fastest.
func gatewaySteps(touches int) []step {
	first := len(filed) - touches + 1
	steps := []step{did("event 1", fileEvents(0, first, true)...)}
	for n := first; n < len(filed); n++ {
		steps = append(steps, did("event "+literal(int64(n+1)), fileEvents(n, n+1, false)...))
	}
	return steps
}

func fileEvents(from, to int, fresh bool) []statement {
	statements := []statement{}
	topics := []string{}
	for n := from; n < to; n++ {
		topics = append(topics, facts[filed[n].event].topic)
	}
	slices.Sort(topics)
	for _, topic := range slices.Compact(topics) {
		statements = append(statements, fence(topic))
	}
	if fresh {
		statements = append(statements, subject(0))
	}
	for n := from; n < to; n++ {
		statements = append(statements, insert("event", eventColumns(filed[n].event)...))
	}
	line, tracks := filed[to-1].line, tracksAfter(to)
	changing := []column{
		same("seen", literal(1<<uint(to)-1)), same("status", "'"+line[0]+"'"), same("step", "'"+line[1]+"'"),
		same("last_event", "'"+shortName(filed[to-1].event)+"'"), now("updated_at", 0),
	}
	if !fresh {
		return append(statements, update("order_line", orderID("order_id"), changing...),
			update("conformance", orderID("subject"), same("tracks", "'"+tracks+"'::jsonb")))
	}
	return append(statements,
		insert("order_line", slices.Concat([]column{orderID("order_id"), userID("user_id")}, changing,
			words("", "reason"), words("KRW", "currency"), []column{
				same("has_coupons", "false"), same("undo_from", "0"), same("amount", "0"), now("created_at", 0),
			})...),
		insert("conformance", orderID("subject"), same("tracks", "'"+tracks+"'::jsonb"), same("doubts", "'[]'::jsonb")))
}

func shortName(n int) string { return facts[n].name[strings.LastIndex(facts[n].name, ".")+1:] }

func eventColumns(n int) []column {
	f := facts[n]
	causation, command := same("causation", "''"), same("command", "''")
	if n == created {
		command = text("command", func(o *order) string { return o.command })
	} else {
		causation = text("causation", eventID(n-1))
	}
	return []column{
		id("id", func(o *order) pgtype.UUID { return o.events[n].uuid }), orderID("subject"),
		same("type", "'"+f.name+"'"), same("service", "'"+f.service+"'"), same("sequence", literal(f.sequence)),
		now("occurred_at", 0), causation, command, text("correlation", eventID(created)), same("topic", "'"+f.topic+"'"),
		// Where the record lies in its topic is not known here; the columns are of fixed width.
		same("partition", "0"), number("kafka_offset", func(o *order) int64 { return int64(o.member) }),
		bytes("payload", func(o *order) []byte { return o.events[n].payload }),
	}
}

// tracksAfter is the check's row after the first n events: per service which numbers were seen, and the
// highest of each topic.
func tracksAfter(n int) string {
	last := map[string]fact{}
	for _, f := range filed[:n] {
		last[facts[f.event].service] = facts[f.event]
	}
	parts := []string{}
	for _, service := range []string{"order", "payment", "shipping", "stock"} {
		if f, seen := last[service]; seen {
			parts = append(parts, `"`+service+`":{"h":{"`+f.topic+`":`+literal(f.sequence)+`},"s":[[1,`+literal(f.sequence)+`]]}`)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}
