// Package floor writes the rows and records that completed orders leave behind, and nothing else: no
// decision, no lock, no read, no consumer, no HTTP. What it takes is what the storage asks of anybody who
// wants to keep the same things; every rate of the system is told as a part of the floor's.
//
// What is written is what the system writes for an order of one line, paid with points alone, placed
// through the API with an Idempotency-Key, sent to the member's address, by a member who has no contact to
// mail to. plan.go lists it, step by step; floor_test.go runs the real system beside it and compares.
//
// Each service has a chain of steps, one connection each. A step is one transaction of the real flow, for a
// whole batch of orders: set-wise statements, all in one round trip. The chains run side by side and wait
// for nobody; within a chain a batch goes through the steps in order, and while it is in the second the next
// one is in the first. A service that publishes has a relay: it sends the step's records after the commit
// and deletes their outbox rows once they are acknowledged.
package floor
