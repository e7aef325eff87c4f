package mutants

// Line is one way such a system fails, and the rule against it.
type Line struct {
	// ID is its number, as mutants name it.
	ID string
	// Failure is what goes wrong, Rule what prevents it.
	Failure, Rule string
	// Proofs are the kinds of proof it has: S simulator over the real decide functions, C chaos on real processes,
	// I integration on PostgreSQL and a broker, P property test, X attack suite, L lint or start-up check.
	Proofs string
	// Without says, by kind of proof, why no mutant is possible (yet).
	Without map[string]string
}

// Lines is what the system must survive. Each line that names S, I, P or X has a mutant of that kind, or says in
// Without why it has none.
var Lines = []Line{
	{ID: "1", Failure: "Sequence gap: a late commit gets an older id than one already read", Rule: "no cursor; read what is there, delete after the ack", Proofs: "I"},
	{ID: "2", Failure: "Ordering by transaction id swaps two commits of one order, and stalls behind any long transaction of the cluster", Rule: "never order by xid", Proofs: "I"},
	{ID: "3", Failure: "SKIP LOCKED relays reorder", Rule: "one relay at a time", Proofs: "I"},
	{ID: "4", Failure: "Id taken before the row lock, or in another order than the events (a join in the INSERT)", Rule: "lock, then allocate by ordinality", Proofs: "I"},
	{ID: "5", Failure: "Crash between ack and delete", Rule: "republished; dropped by event id", Proofs: "C"},
	{ID: "6", Failure: "A later row overtakes a failed one; a cancelled produce", Rule: "publish nothing more, read again; produce context never cancelled", Proofs: "I"},
	{ID: "7", Failure: "Relay split brain after a pause", Rule: "harmless by design, in-order republish", Proofs: "C"},
	{ID: "8", Failure: "Outbox row the broker will never take", Rule: "payload size CHECK below its limit; alert on the oldest row's age", Proofs: "I"},
	{ID: "9", Failure: "Row deleted before sent, relay missing", Rule: "the emit function takes a pgx.Tx and there is no other way to publish", Proofs: "CL"},
	{ID: "10", Failure: "Bloat and plan flips", Rule: "primary key only, bounded reads, statement and idle timeouts, dead-tuple metric", Proofs: "I"},
	{ID: "11", Failure: "Commit outcome unknown", Rule: "run the same batch again", Proofs: "SC"},
	{ID: "12", Failure: "Two owners of a partition", Rule: "fence row in the transaction", Proofs: "SC"},
	{ID: "13", Failure: "Offset before effect", Rule: "no autocommit; database offset is the truth", Proofs: "SC"},
	{ID: "14", Failure: "Failed batch skipped by the next poll", Rule: "same batch again or exit", Proofs: "S"},
	{ID: "15", Failure: "Late commit, offset expiry, reset to the end", Rule: "start offsets from the database, earliest otherwise", Proofs: "I"},
	{ID: "16", Failure: "Topic recreated", Rule: "fence by topic id", Proofs: "I"},
	{ID: "17", Failure: "Partitions added", Rule: "count fixed, checked at start", Proofs: "L"},
	{ID: "18", Failure: "Poison event blocks everything or is dropped; a full disk taken for poison; an event stranded between parking and replay", Rule: "halve, park the key with what follows it, failure row in the same transaction", Proofs: "SP"},
	{ID: "19", Failure: "Replay breaks the order", Rule: "through the engine, oldest first per key", Proofs: "S"},
	{ID: "20", Failure: "Inbox forgets", Rule: "day partitions kept longer than topic and failures; UNIQUE(order, step) for ever", Proofs: "S"},
	{ID: "21", Failure: "Acknowledged and lost", Rule: "RF 3, min ISR 2, acks=all checked at start unless DURABILITY=single (up, compose, dev overlay); stop on data loss", Proofs: "CL"},
	{ID: "22", Failure: "Batch deadlock", Rule: "sorted locks, retry 40001/40P01", Proofs: "I"},
	{ID: "23", Failure: "A batch decides other than one by one", Rule: "the same fold; equality is a property", Proofs: "P"},
	{ID: "24", Failure: "Unknown event version", Rule: "parked, never dropped", Proofs: "P"},
	{ID: "25", Failure: "Undo before do; both at once on two replicas", Rule: "tombstone; subject lock taken before anything is read", Proofs: "SI"},
	{ID: "26", Failure: "Oversell", Rule: "decision under the row lock + CHECK", Proofs: "SX"},
	{ID: "27", Failure: "The same coupon or points spent twice", Rule: "unique use, append-only ledger", Proofs: "SX"},
	{ID: "28", Failure: "Duplicate order", Rule: "unique (member, key) + body hash", Proofs: "X"},
	{ID: "29", Failure: "Charge of unknown outcome", Rule: "attempt row first, same key, ask", Proofs: "SC"},
	{ID: "30", Failure: "Provider's idempotency window over", Rule: "reconcile, never resend", Proofs: "S"},
	{ID: "31", Failure: "Webhook against the synchronous answer", Rule: "one transition under the row lock", Proofs: "SX"},
	{ID: "32", Failure: "Webhooks late, repeated, disordered, failure after success", Rule: "monotonic states, re-fetch", Proofs: "S"},
	{ID: "33", Failure: "Cancel against complete", Rule: "one pivot", Proofs: "S"},
	{ID: "34", Failure: "Refund pending or failed", Rule: "its own states, ledger, a human's queue", Proofs: "S"},
	{ID: "34a", Failure: "A worker paused after its claim sends the charge late", Rule: "no send past the claim; an unknown key is voided before it counts as failed", Proofs: "SC"},
	{ID: "34b", Failure: "A process stopped inside a transaction holds product rows", Rule: "time-outs of DESIGN.md", Proofs: "C"},
	{ID: "35", Failure: "Stuck order nobody knows of", Rule: "deadline on every wait; oldest waiting order is a metric with an alert", Proofs: "SC"},
	{ID: "36", Failure: "Clock jumps", Rule: "deadlines by the database's clock, leases by a monotonic one", Proofs: "S"},
	{ID: "37", Failure: "Two lines of one order for the same product", Rule: "summed before deciding", Proofs: "P"},
	{ID: "38", Failure: "Mail twice", Rule: "provider key; at-least-once remains and is said", Proofs: "I"},
	{ID: "39", Failure: "Side listener down (mail server, data platform)", Rule: "its own retries and failures; orders unaffected", Proofs: "C"},
	{ID: "40", Failure: "Someone else's order", Rule: "owner predicate in SQL; endpoint × principal matrix", Proofs: "X"},
	{ID: "41", Failure: "Mass assignment, unknown fields", Rule: "allow-list per action", Proofs: "X"},
	{ID: "42", Failure: "JWT alg none, alg swap, kid tricks, wrong aud, expired", Rule: "allow-lists", Proofs: "X"},
	{ID: "43", Failure: "Spoofed client address", Rule: "explicit IP extractor", Proofs: "X"},
	{ID: "44", Failure: "Webhook forged, replayed, from the future", Rule: "raw body, HMAC, 300 s", Proofs: "X"},
	{ID: "45", Failure: "Hoarding, oversized bodies, slow bodies", Rule: "limits per member and address, caps, timeouts", Proofs: "X"},
	{ID: "46", Failure: "A neighbour service forges events", Rule: "a principal per service, ACL from the topology", Proofs: "I"},
	{ID: "47", Failure: "Personal data in events or logs", Rule: "only member.v1; canary values searched in every topic and log", Proofs: "X"},
	{ID: "48", Failure: "Dependencies", Rule: "govulncheck in CI, SBOM", Proofs: ""},
	{ID: "49", Failure: "Concurrent races as in ACIDRain", Rule: "1,000 parallel requests per attack, 0 wins", Proofs: "X"},
}
