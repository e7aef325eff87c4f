package mutants

const (
	consume = "pkg/engine/consume.go"
)

// consumerMutants take out the rules of the engine's way from a record to a commit.
var consumerMutants = []Mutant{
	{
		Name: "a record below the fence is decided again", Lines: []string{"15"}, Kind: "I",
		Rule:  "arrivals below the database's offset are dropped",
		Edits: []Edit{{consume, "ok && !a.skip && a.record.Offset >= offset", "ok && !a.skip && (a.record.Offset >= offset || offset > 0)"}},
		Proof: test("./pkg/engine", "TestRecordsBelowTheFenceAreDropped"),
	},
}
