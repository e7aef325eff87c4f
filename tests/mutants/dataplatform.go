package mutants

const exportStore = "services/dataplatform/internal/store"

// exportMutants take out what makes the export to a data platform lose nothing and tell nothing twice.
var exportMutants = []Mutant{
	{
		Name: "the export passes over a transaction that commits late", Lines: []string{"1"}, Kind: "I",
		Rule:  "positions are given under a lock that is held up to COMMIT",
		Edits: []Edit{{exportStore + "/store.go", "UPDATE head SET position = position + $1 RETURNING position - $1 AS before", "SELECT coalesce(max(position), 0) + $1 - $1 AS before FROM fact"}},
		Proof: test("./"+exportStore, "TestALateCommitIsNotPassedOver"),
	},
	{
		Name: "an exporter that was paused cuts what another has sent", Lines: []string{"7"}, Kind: "I",
		Rule:  "a batch is cut under the lock of its stream",
		Edits: []Edit{{exportStore + "/export.go", "WHERE id = $1 FOR UPDATE), taken AS", "WHERE id = $1), taken AS"}},
		Proof: test("./"+exportStore, "TestACutBeginsWhereTheStreamIs"),
	},
	{
		Name: "a batch that is sent again is another batch", Lines: []string{"5"}, Kind: "I",
		Rule:  "a batch keeps its id however often it is sent",
		Edits: []Edit{{"services/dataplatform/service/exporter.go", "ID: cut.ID.String(), Facts: facts", "ID: uuid.NewString(), Facts: facts"}},
		Proof: test("./services/dataplatform/service", "TestAKillInTheMiddleOfAnExport"),
	},
	{
		Name: "an event that was published twice is two facts", Lines: []string{"5"}, Kind: "I",
		Rule:  "a fact's key is the event's id",
		Edits: []Edit{{exportStore + "/store.go", "SELECT h.before + f.n, (f.occurred_at AT TIME ZONE 'UTC')::date, f.id,", "SELECT h.before + f.n, (f.occurred_at AT TIME ZONE 'UTC')::date, gen_random_uuid(),"}},
		Proof: test("./"+exportStore, "TestARepeatedEventIsOneFact"),
	},
	{
		Name: "a payment token leaves with the facts", Lines: []string{"47"}, Kind: "I",
		Rule:  "what is nobody else's business is withheld",
		Edits: []Edit{{"services/dataplatform/batch.go", `var withheld = []protoreflect.Name{"payment_token"}`, `var withheld = []protoreflect.Name{"nothing"}`}},
		Proof: test("./services/dataplatform", "TestTokensStay"),
	},
}
