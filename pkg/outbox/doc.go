// Package outbox is how events leave a service: written with the state they tell of, in the same
// transaction, and carried to Kafka by one relay.
//
// [Append] is the only way to publish. It needs a transaction, so an event goes out if and only if the
// change it reports was committed. [Relay] reads the oldest rows, produces them, and deletes them once
// the broker has acknowledged them.
//
// # What is promised
//
// Every committed event reaches its topic at least once, and per key in the order of commit: after
// dropping repeated event ids, a consumer sees each key's events exactly as they were committed. There
// is no order between keys.
//
// # Why it holds
//
// Ids follow commits per key. Who appends an event holds the lock on its subject (its key) already, and
// keeps it until COMMIT. Two transactions of one key therefore take their ids one after the other, the
// second after the first has committed; inside one transaction [Append] numbers in the order given.
//
// A read is closed to the left. The relay has no cursor: one statement, hence one snapshot, reads what
// is there from the lowest id on. A row of a key is seen only together with every earlier row of that
// key, except those that are deleted, which means acknowledged. A transaction that commits late, with
// ids below some that are sent already, is of other keys (the lock!), and is found by the next read.
//
// Nothing overtakes on the way. A read is at most as much as fits one Kafka record batch, and all of
// it is buffered before the first byte is sent; see publish for why a partition then takes all of it
// in order, or none of what comes after a failure.
//
// Two relays at once do no harm. The election is by a lock in PostgreSQL, and a relay that was stopped
// (a paused machine, a lost connection) may wake after another has taken over, and send what it had
// read. It sends rows in order, beginning at a row before which everything of that key had been
// acknowledged when it read. So does the other. Whichever sends a key's n-th event for the first time
// has sent the one before it itself, or read after that one had been acknowledged and deleted. So first
// occurrences are in order however the two mix, and what is repeated the consumer drops by event id.
package outbox
