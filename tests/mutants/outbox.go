package mutants

const (
	relayTerm   = "pkg/outbox/term.go"
	relayTable  = "pkg/outbox/table.go"
	publishing  = "pkg/outbox/publish.go"
	appending   = "pkg/outbox/append.go"
	outboxGauge = "pkg/outbox/metric.go"
	outboxTable = "pkg/outbox/migrations/00001_outbox.sql"

	outboxTests = "./pkg/outbox"
)

// outboxMutants take out the rules of writing events and carrying them to Kafka.
var outboxMutants = []Mutant{
	{
		Name: "the relay remembers the last id and reads on from there", Lines: []string{"1"}, Kind: "I",
		Rule: "no cursor: read what is there",
		Edits: []Edit{
			{relayTable, "FROM outbox ORDER BY id LIMIT $1) AS oldest", "FROM outbox WHERE id > $4 ORDER BY id LIMIT $1) AS oldest"},
			{relayTable, "readOldest, limit, rowOverhead, readBytes)", "readOldest, limit, rowOverhead, readBytes, cursor[conn])"},
			{relayTable, "	return rows, len(rows) == limit", "	if len(rows) > 0 {\n		cursor[conn] = rows[len(rows)-1].id\n	}\n	return rows, len(rows) == limit"},
			{relayTable, "func oldestOf(", "var cursor = map[*pgx.Conn]int64{}\n\nfunc oldestOf("},
		},
		Proof: part(outboxTests, "TestScheduleLateCommit", "ours"),
	},
	{
		Name: "the relay deletes up to the last id it has sent", Lines: []string{"1"}, Kind: "I",
		Rule:  "delete exactly what was acknowledged",
		Edits: []Edit{{relayTable, "DELETE FROM outbox WHERE id = ANY($1)", "DELETE FROM outbox WHERE id <= (SELECT max(k) FROM unnest($1::bigint[]) AS k)"}},
		Proof: test(outboxTests, "TestStudyOurs"),
	},
	{
		Name: "the relay sends in the order of transaction ids, below the oldest one under way", Lines: []string{"2"}, Kind: "I",
		Rule: "never order by transaction id",
		Edits: []Edit{
			{relayTable, "FROM outbox ORDER BY id LIMIT $1) AS oldest", "FROM outbox WHERE xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint ORDER BY xid, id LIMIT $1) AS oldest"},
			{relayTable, "(SELECT id, topic, key, event_id, headers, payload FROM outbox", "(SELECT id, topic, key, event_id, headers, payload, xmin::text::bigint AS xid FROM outbox"},
			{relayTable, "OVER (ORDER BY id ROWS", "OVER (ORDER BY xid, id ROWS"},
			{relayTable, "WHERE bytes <= $3\nORDER BY id`", "WHERE bytes <= $3\nORDER BY xid, id`"},
		},
		Proof: test(outboxTests, "TestStudyOurs"),
	},
	{
		Name: "relays share the rows out among them with SKIP LOCKED", Lines: []string{"3"}, Kind: "I",
		Rule: "one relay at a time",
		Edits: []Edit{
			{relayTable, "SELECT pg_try_advisory_lock($1),", "SELECT $1::bigint > 0,"},
			{relayTable, "FROM outbox ORDER BY id LIMIT $1) AS oldest", "FROM outbox ORDER BY id LIMIT least($1, 8) FOR UPDATE SKIP LOCKED) AS oldest"},
			{relayTable, "	found, err := conn.Query(", "	if _, err := conn.Exec(ctx, `BEGIN`); err != nil {\n		return nil, false, err\n	}\n	found, err := conn.Query("},
			{relayTable, "id = ANY($1)`, ids); err != nil {", "id = ANY($1)`, ids); err != nil || commitRows(ctx, conn) != nil {"},
			{relayTable, "func oldestOf(", "func commitRows(ctx context.Context, conn *pgx.Conn) error {\n	_, err := conn.Exec(ctx, `COMMIT`)\n	return err\n}\n\nfunc oldestOf("},
		},
		Proof: test(outboxTests, "TestStudyOurs"),
	},
	{
		Name: "every relay is elected", Lines: []string{"3"}, Kind: "I",
		Rule:  "one relay at a time",
		Edits: []Edit{{relayTable, "SELECT pg_try_advisory_lock($1),", "SELECT $1::bigint > 0,"}},
		Proof: test(outboxTests, "TestStandbyTakesOver"),
	},
	{
		Name: "a relay that stands by never asks again", Lines: []string{"3"}, Kind: "I",
		Rule: "whoever is left takes over",
		Edits: []Edit{
			{relayTerm, "r.sleep(ctx, r.cfg.Standby)", "r.sleep(ctx, r.cfg.Standby*100000)"},
		},
		Proof: test(outboxTests, "TestStandbyTakesOver"),
	},
	{
		Name: "ids are given in another order than the events have", Lines: []string{"4"}, Kind: "I",
		Rule:  "ids by ordinality",
		Edits: []Edit{{appending, "ORDER BY n`", "ORDER BY event_id`"}},
		Proof: test(outboxTests, "TestAppendNumbersInTheOrderGiven"),
	},
	{
		Name: "the insert into the outbox joins, and sorts by what the join needs", Lines: []string{"4"}, Kind: "I",
		Rule:  "one statement without a join, ordered by the ordinality",
		Edits: []Edit{{appending, "AS r(topic, key, event_id, seq, headers, payload, n)\nORDER BY n`", "AS r(topic, key, event_id, seq, headers, payload, n)\nJOIN (SELECT id FROM subject ORDER BY id) AS s ON s.id = r.key ORDER BY r.key, md5(r.event_id::text)`"}},
		Proof: test(outboxTests, "TestScheduleJoinInTheInsert"),
	},
	{
		Name: "ids are kept in blocks by each session", Lines: []string{"4"}, Kind: "I",
		Rule:  "an id is taken when it is needed, under the lock: CACHE 1",
		Edits: []Edit{{outboxTable, "IDENTITY (CACHE 1)", "IDENTITY (CACHE 50)"}},
		Proof: test(outboxTests, "TestStudyOurs"),
	},
	{
		Name: "the relay sends the rows behind one that was refused", Lines: []string{"6"}, Kind: "I",
		Rule: "after a failure nothing more is published of what was read",
		Edits: []Edit{{
			relayTerm, "	acked, failed := out.publish(patience, rows, conn.Ping)\n",
			"	var acked []int64\n	var failed error\n	for i := range rows {\n		ids, err := out.publish(patience, rows[i:i+1], conn.Ping)\n" +
				"		if acked = append(acked, ids...); err != nil {\n			failed = err\n		}\n	}\n",
		}},
		Proof: test(outboxTests, "TestNothingOvertakesARefusedRow"),
	},
	{
		Name: "the relay deletes all it has read though some was refused", Lines: []string{"6", "9"}, Kind: "I",
		Rule: "only what the brokers have acknowledged is deleted",
		Edits: []Edit{{
			publishing, "	} else if d.err == nil {\n", "	} else if d.acked = append(d.acked, id); d.err == nil {\n",
		}},
		Proof: test(outboxTests, "TestNothingOvertakesARefusedRow"),
	},
	{
		Name: "the relay deletes before it sends", Lines: []string{"9"}, Kind: "I",
		Rule: "rows are deleted after the brokers' acknowledgement",
		Edits: []Edit{{
			relayTerm, "	acked, failed := out.publish(patience, rows, conn.Ping)\n",
			"	var early []int64\n	for _, row := range rows {\n		early = append(early, row.id)\n	}\n	if err := remove(ctx, conn, early); err != nil {\n		return err\n	}\n" +
				"	acked, failed := out.publish(patience, rows, conn.Ping)\n",
		}},
		Proof: test(outboxTests, "TestDrainGivesUpInTime"),
	},
	{
		Name: "a relay that the brokers do not answer keeps its election", Lines: []string{"9"}, Kind: "I",
		Rule:  "who gets no answer gives way to another replica",
		Edits: []Edit{{relayTerm, "WithTimeoutCause(ctx, r.cfg.Stall, errStalled)", "WithTimeoutCause(ctx, 1000*r.cfg.Stall, errStalled)"}},
		Proof: test(outboxTests, "TestStalledRelayGivesUpTheElection"),
	},
	{
		Name: "the server keeps the election of a relay that is silent", Lines: []string{"7", "10"}, Kind: "I",
		Rule:  "an idle time-out on the relay's session",
		Edits: []Edit{{relayTable, `strconv.Itoa(int(sessionIdle.Milliseconds()))`, `strconv.Itoa(1000 * int(sessionIdle.Milliseconds()))`}},
		Proof: test(outboxTests, "TestSilentRelayLosesTheElection"),
	},
	{
		Name: "a relay that was overtaken sends only what it has read last", Lines: []string{"7"}, Kind: "I",
		Rule: "a read begins at the oldest row and is sent in order",
		Edits: []Edit{
			{relayTable, "WHERE bytes <= $3\nORDER BY id`", "WHERE bytes <= $3\nORDER BY id DESC`"},
		},
		Proof: part(outboxTests, "TestScheduleTwoRelaysShareARow", "ours"),
	},
	{
		Name: "a payload above the broker's limit gets into the outbox", Lines: []string{"8"}, Kind: "I",
		Rule:  "a CHECK on the size of payloads",
		Edits: []Edit{{outboxTable, "CHECK (octet_length(payload) <= 900000)", "CHECK (octet_length(payload) <= 9000000)"}},
		Proof: test(outboxTests, "TestAppendRefusesWhatTheBrokerWould"),
	},
	{
		Name: "headers above any limit get into the outbox", Lines: []string{"8"}, Kind: "I",
		Rule:  "a CHECK on the size of headers",
		Edits: []Edit{{outboxTable, "CHECK (octet_length(headers) <= 32768)", "CHECK (octet_length(headers) <= 3276800)"}},
		Proof: test(outboxTests, "TestAppendRefusesWhatTheBrokerWould"),
	},
	{
		Name: "a read may be larger than a record batch", Lines: []string{"6", "8"}, Kind: "I",
		Rule:  "a read fits one record batch",
		Edits: []Edit{{relayTable, "const readBytes = 960_000", "const readBytes = 9_600_000"}},
		Proof: test(outboxTests, "TestTheLargestRowIsRead|TestReadIsBoundedInBytes"),
	},
	{
		Name: "nobody hears how long the oldest event waits", Lines: []string{"8"}, Kind: "I",
		Rule:  "the age of the oldest row is a metric",
		Edits: []Edit{{outboxGauge, "	since := m.oldest.Load()\n", "	since := m.oldest.Load() * 0\n"}},
		Proof: test(outboxTests, "TestDrainGivesUpInTime"),
	},
	{
		Name: "a read has no bound", Lines: []string{"10"}, Kind: "I",
		Rule:  "bounded reads",
		Edits: []Edit{{relayTable, "ORDER BY id LIMIT $1) AS oldest", "ORDER BY id LIMIT $1 + 1000000) AS oldest"}},
		Proof: test(outboxTests, "TestReadFindsTheHeadByTheIndex"),
	},
	{
		Name: "the relay's plan is left to the day's statistics", Lines: []string{"10"}, Kind: "I",
		Rule: "the relay's session rules the other plans out",
		Edits: []Edit{
			{relayTable, `"enable_seqscan":    "off",`, `"enable_seqscan":    "on",`},
			{relayTable, `"enable_bitmapscan": "off",`, `"enable_bitmapscan": "on",`},
			{relayTable, `"enable_sort":       "off",`, `"enable_sort":       "on",`},
		},
		Proof: test(outboxTests, "TestReadFindsTheHeadByTheIndex"),
	},
	{
		Name: "the outbox is vacuumed like a table that grows", Lines: []string{"10"}, Kind: "I",
		Rule:  "vacuum by a count of dead rows",
		Edits: []Edit{{outboxTable, "    autovacuum_vacuum_threshold = 5000,\n    autovacuum_vacuum_scale_factor = 0,\n    autovacuum_vacuum_cost_delay", "    autovacuum_vacuum_threshold = 5000000,\n    autovacuum_vacuum_scale_factor = 0,\n    autovacuum_vacuum_cost_delay"}},
		Proof: test(outboxTests, "TestSoakLeavesNoBloat"),
	},
	{
		Name: "vacuum leaves the dead index entries at the head", Lines: []string{"10"}, Kind: "I",
		Rule:  "index clean-up always",
		Edits: []Edit{{outboxTable, "    vacuum_index_cleanup = on,\n    vacuum_truncate = off,\n    toast", "    vacuum_index_cleanup = off,\n    vacuum_truncate = off,\n    toast"}},
		Proof: test(outboxTests, "TestSoakLeavesNoBloat"),
	},
	{
		Name: "nobody hears of dead rows", Lines: []string{"10"}, Kind: "I",
		Rule:  "a metric of what vacuum could not take away",
		Edits: []Edit{{relayTerm, "r.metrics.dead.Set(float64(dead))", "r.metrics.dead.Set(0 * float64(dead))"}},
		Proof: test(outboxTests, "TestDeadRowsAreAMetric"),
	},
	{
		Name: "the relay waits for a server that does not answer for ever", Lines: []string{"10"}, Kind: "I",
		Rule:  "a time-out on the relay's statements",
		Edits: []Edit{{relayTable, "\t\t\"statement_timeout\":                \"10s\",\n", ""}},
		Proof: test(outboxTests, "TestTheRelaysSessionIsBounded"),
	},
}
