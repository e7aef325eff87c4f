package mutants

const (
	hooks       = "services/webhook"
	hookStore   = hooks + "/internal/store"
	hookSender  = hooks + "/internal/deliver"
	hookAddress = hooks + "/outward"
)

// hookMutants take out what keeps outgoing webhooks from reaching where they must not, from being sent by two at once,
// and from being lost or taken for others.
var hookMutants = []Mutant{
	{
		Name: "a webhook's address is judged by its name alone", Lines: []string{"44"}, Kind: "I",
		Rule:  "every address is judged when it is dialled",
		Edits: []Edit{{hookAddress + "/client.go", "&net.Dialer{Timeout: 5 * time.Second, Control: p.control}", "&net.Dialer{Timeout: 5 * time.Second}"}},
		Proof: test("./"+hookAddress, "TestNameThatLeadsHere"),
	},
	{
		Name: "a webhook follows redirects", Lines: []string{"44"}, Kind: "I",
		Rule:  "redirects are not followed",
		Edits: []Edit{{hookAddress + "/client.go", "return http.ErrUseLastResponse", "return nil"}},
		Proof: test("./"+hooks+"/service", "TestRetriedUntilTaken"),
	},
	{
		Name: "a receiver that has only the old secret is refused by it", Lines: []string{"44"}, Kind: "I",
		Rule:  "the old secret signs beside the new one",
		Edits: []Edit{{hookSender + "/attempt.go", `e.OldSecret != "" && now.Before(e.OldSecretUntil)`, `e.OldSecret != "" && now.After(e.OldSecretUntil)`}},
		Proof: test("./"+hooks+"/service", "TestRotatedSecretsBothSign"),
	},
	{
		Name: "a delivery that is made again is another event", Lines: []string{"5"}, Kind: "I",
		Rule:  "the id of every attempt is the event's",
		Edits: []Edit{{hookSender + "/attempt.go", "headers(e, j.EventID, begin, j.Body)", "headers(e, r.ID, begin, j.Body)"}},
		Proof: test("./"+hooks+"/service", "TestRetriedUntilTaken"),
	},
	{
		Name: "a delivery is sent past its claim", Lines: []string{"34a"}, Kind: "I",
		Rule:  "nothing is sent that could outlast the claim",
		Edits: []Edit{{hookSender + "/deliver.go", " || time.Since(next.claimedAt) > s.cfg.lease()-s.cfg.Timeout {", " {"}},
		Proof: test("./"+hookSender, "TestNothingIsSentPastTheClaim"),
	},
	{
		Name: "a worker whose claim is over says when the next attempt is", Lines: []string{"34a"}, Kind: "I",
		Rule:  "only the present claim moves a delivery",
		Edits: []Edit{{hookStore + "/result.go", "due_at = CASE WHEN d.claim = k.claim THEN now() + k.wait ELSE d.due_at END", "due_at = now() + k.wait"}},
		Proof: test("./"+hookStore, "TestClaims"),
	},
	{
		Name: "a resend is sent beside the attempt under way", Lines: []string{"34a"}, Kind: "I",
		Rule:  "a resend waits for the claim",
		Edits: []Edit{{hooks + "/world.go", "	if d.ClaimedUntil.After(now) {\n", "	if false {\n"}},
		Proof: test("./"+hooks, "TestResendWaitsForTheClaim"),
	},
	{
		Name: "an event that is read twice is delivered twice", Lines: []string{"5"}, Kind: "I",
		Rule: "the delivery's key recognises a repeat",
		Edits: []Edit{{
			hookStore + "/save.go", "unnest($1::uuid[], $2::uuid[])\n			ON CONFLICT DO NOTHING",
			"unnest($1::uuid[], $2::uuid[])\n			ON CONFLICT (endpoint_id, event_id) DO UPDATE SET state = 0, due_at = now()",
		}},
		Proof: test("./"+hookStore, "TestRepeatedFacts"),
	},
	{
		Name: "a replica reads past what somebody wants by an old view", Lines: []string{"39"}, Kind: "I",
		Rule:  "nobody is said to want something by a young view only",
		Edits: []Edit{{hooks + "/internal/directory/directory.go", "v == nil || time.Since(v.taken) > Lease ||", "v == nil ||"}},
		Proof: test("./"+hooks+"/internal/directory", "TestOnlyAYoungViewSaysNobody"),
	},
	{
		Name: "one receiver's backlog takes the others' turns", Lines: []string{"39"}, Kind: "I",
		Rule:  "each endpoint has a share of its own of a claim",
		Edits: []Edit{{hookStore + "/claim.go", "ORDER BY due_at LIMIT e.room FOR NO KEY UPDATE", "ORDER BY due_at LIMIT (SELECT sum(room) FROM unnest($2::int[]) AS room) FOR NO KEY UPDATE"}},
		Proof: test("./"+hookStore, "TestClaimIsFair"),
	},
	{
		Name: "a webhook tells what can be paid with", Lines: []string{"47"}, Kind: "I",
		Rule:  "what is nobody else's business is withheld",
		Edits: []Edit{{hooks + "/render.go", `{"payment_token": true}`, `{"payment_token": false}`}},
		Proof: test("./"+hooks, "TestBody"),
	},
}
