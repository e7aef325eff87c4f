package floor

// service is a chain of steps in a database of its own.
type service struct {
	name string
	// reads are the topics it has fences on.
	reads []string
	steps []step
}

// step is one transaction for a batch of orders.
type step struct {
	name       string
	statements []statement
	// emits is the event that the step puts into the outbox, -1 for none.
	emits int
}

const nothing = -1

// publishes says how many relay turns the service's steps cause for a batch.
func (s service) publishes() (turns int32) {
	for _, st := range s.steps {
		if st.emits != nothing {
			turns++
		}
	}
	return turns
}

// did makes a step that emits nothing.
func did(name string, statements ...statement) step {
	return step{name: name, statements: statements, emits: nothing}
}

// told makes a step that emits an event. Its outbox rows are the step's last statement: the ids it returns
// are what the relay deletes.
func told(name string, event int, statements ...statement) step {
	return step{name: name, statements: append(statements, outboxRows(event)), emits: event}
}

func outboxRows(n int) statement {
	s := insert("outbox",
		text("topic", func(o *order) string { return o.events[n].record.Topic }),
		text("key", func(o *order) string { return o.id }),
		id("event_id", eventUUID(n)),
		column{name: "seq", value: literal(facts[n].sequence)},
		bytes("headers", func(o *order) []byte { return o.events[n].headers }),
		bytes("payload", func(o *order) []byte { return o.events[n].payload }))
	s.sql += " RETURNING id"
	return s
}
