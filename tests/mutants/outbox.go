package mutants

const (
	relayTerm   = "pkg/outbox/term.go"
	relayTable  = "pkg/outbox/table.go"
	publishing  = "pkg/outbox/publish.go"
	appending   = "pkg/outbox/append.go"
	outboxTable = "pkg/outbox/migrations/00001_outbox.sql"
)

// outboxMutants take out the rules of writing events and carrying them to Kafka.
var outboxMutants = []Mutant{
	{
		Name: "ids are taken in whatever order a join gives the rows", Lines: []string{"4"}, Kind: "I",
		Rule:  "ids by ordinality, in one statement without a join",
		Edits: []Edit{{appending, "ORDER BY n`", "ORDER BY event_id`"}},
		Proof: test("./pkg/outbox", "TestAppendNumbersInTheOrderGiven"),
	},
	{
		Name: "a payload above the broker's limit gets into the outbox", Lines: []string{"8"}, Kind: "I",
		Rule:  "a CHECK on the size of payloads",
		Edits: []Edit{{outboxTable, "CHECK (octet_length(payload) <= 900000)", "CHECK (octet_length(payload) <= 9000000)"}},
		Proof: test("./pkg/outbox", "TestAppendRefusesWhatTheBrokerWould"),
	},
}
