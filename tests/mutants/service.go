package mutants

const (
	smtpSender  = "services/mailer/smtp/smtp.go"
	addressBook = "services/shipping/service/address.go"
)

// serviceMutants take out rules of single services that their own tests prove, without any attack.
var serviceMutants = []Mutant{
	{
		Name: "products are locked in the order in which a batch names them", Lines: []string{"22"}, Kind: "I",
		Rule:  "sorted locks on hot rows",
		Edits: []Edit{{"services/stock/internal/store/product.go", "ORDER BY product_id FOR NO KEY UPDATE`", "ORDER BY random() FOR NO KEY UPDATE`"}},
		Proof: test("./services/stock/internal/store", "TestProductsAreLockedInKeyOrder"),
	},
	{
		Name: "stock takes pieces for an order whose undo came first", Lines: []string{"25"}, Kind: "I",
		Rule:  "the undo that came first leaves a tombstone",
		Edits: []Edit{{"services/stock/stock.go", "	if _, known := w.Reservations.Get(e.GetOrderId()); known {\n", "	if row, known := w.Reservations.Get(e.GetOrderId()); known && row.State != Returned {\n"}},
		Proof: test("./services/stock/service", "TestUndoBeforeDo"),
	},
	{
		Name: "payment takes the money of an order whose undo came first", Lines: []string{"25"}, Kind: "I",
		Rule:  "the undo that came first leaves a tombstone",
		Edits: []Edit{{"services/payment/payment.go", "	if _, known := w.Payments.Get(a.orderID); known {\n", "	if row, known := w.Payments.Get(a.orderID); known && row.State != Cancelled {\n"}},
		Proof: test("./services/payment/service", "TestUndoBeforeDo"),
	},
	{
		Name: "two lines for one product each have the pieces that there are", Lines: []string{"37"}, Kind: "P",
		Rule:  "lines of one product are summed before deciding",
		Edits: []Edit{{"services/stock/stock.go", "		if !known {\n			i = len(wanted)", "		if !known || known {\n			i = len(wanted)"}},
		Proof: test("./services/stock", "TestLinesOfOneProductAreSummed"),
	},
	{
		Name: "a member may have the limit in every order", Lines: []string{"26"}, Kind: "P",
		Rule:  "what a member's orders hold counts against the next one",
		Edits: []Edit{{"services/stock/limit.go", "x.quantity > sale.MaxPerMember-purchase.Quantity:", "x.quantity > sale.MaxPerMember:"}},
		Proof: test("./services/stock", "TestMembersAreLimited"),
	},
	{
		Name: "what a member gave back still counts", Lines: []string{"26"}, Kind: "P",
		Rule:  "the undo gives back what was counted",
		Edits: []Edit{{"services/stock/limit.go", "	purchase.Quantity -= int64(item.Quantity)\n", ""}},
		Proof: test("./services/stock", "TestMembersAreLimited"),
	},
	{
		Name: "what members have is read before the product is locked", Lines: []string{"26", "22"}, Kind: "I",
		Rule:  "whoever counts a member's pieces holds the product's row, and looks after that",
		Edits: []Edit{{"services/stock/internal/store/product.go", "ORDER BY product_id FOR NO KEY UPDATE`", "ORDER BY product_id`"}},
		Proof: test("./services/stock/internal/store", "TestMembersInTwoBatchesAtOnce"),
	},
	{
		Name: "a parcel goes to an address that was deleted", Lines: []string{"47"}, Kind: "I",
		Rule:  "what was looked up is not remembered",
		Edits: []Edit{{addressBook, "	b.waiting = nil\n", ""}},
		Proof: test("./services/shipping/service", "TestADeletedAddressIsGoneAtOnce"),
	},
	{
		Name: "an address that could not be looked up does not exist", Lines: []string{"22"}, Kind: "I",
		Rule:  "an error reaches all who wait for the look-up",
		Edits: []Edit{{addressBook, "	return a, known, l.err\n", "	return a, known, nil\n"}},
		Proof: test("./services/shipping/service", "TestAFailedLookUpIsAnErrorForAll"),
	},
	{
		Name: "a mail that is sent again is another mail", Lines: []string{"38"}, Kind: "I",
		Rule:  "the Message-ID is the mail's key",
		Edits: []Edit{{smtpSender, "	msg.SetMessageIDWithValue(m.Key + \"@\" + s.domain)\n", "	msg.SetMessageID()\n"}},
		Proof: test("./services/mailer/smtp", "TestRoundTrip"),
	},
	{
		Name: "all mails of an order are one mail", Lines: []string{"38"}, Kind: "I",
		Rule:  "each kind of mail has a key of its own",
		Edits: []Edit{{"services/mailer/world.go", `return "mail-" + string(k) + "-" + orderID`, `return "mail-" + orderID`}},
		Proof: test("./services/mailer/service", "TestOneMailPerFact"),
	},
	{
		Name: "a repeated fact asks for its mail again", Lines: []string{"38"}, Kind: "I",
		Rule:  "one mail per order and kind",
		Edits: []Edit{{"services/mailer/mailer.go", "	if _, known := w.Mails.Get(key); known {\n", "	if _, known := w.Mails.Get(key); known && orderID == \"\" {\n"}},
		Proof: test("./services/mailer/internal/store", "TestRepeatedFactsAskOnce"),
	},
	{
		Name: "a sender that the mail server does not like costs every mail", Lines: []string{"39"}, Kind: "I",
		Rule:  "what is said of the shop is not the mail's fault: it waits",
		Edits: []Edit{{"services/mailer/smtp/verdict.go", " || failure.Reason == mail.ErrSMTPMailFrom {", " {"}},
		Proof: test("./services/mailer/smtp", "TestWhoseFaultARefusalIs"),
	},
	{
		Name: "a mail whose content may be out is sent again over another connection", Lines: []string{"38"}, Kind: "I",
		Rule:  "only what nothing of went out is sent again at once",
		Edits: []Edit{{"services/mailer/smtp/connection.go", "failure.code == 0 && failure.before):", "failure.code == 0):"}},
		Proof: test("./services/mailer/smtp", "TestCutAfterTheFirstMail"),
	},
	{
		Name: "a mail that came back late buries the member's new address", Lines: []string{"38"}, Kind: "I",
		Rule:  "a bounce is about the address that the mail went to",
		Edits: []Edit{{"services/mailer/internal/store/contact.go", " AND c.address_since = d.since", ""}},
		Proof: test("./services/mailer/internal/store", "TestDeadAddress"),
	},
	{
		Name: "anybody may say that a mail came back", Lines: []string{"44"}, Kind: "I",
		Rule:  "the signature is the secret's",
		Edits: []Edit{{"services/mailer/service/report.go", "good = hmac.Equal(got, mac.Sum(nil)) || good", "good = hmac.Equal(got, mac.Sum(nil)) || true"}},
		Proof: test("./services/mailer/service", "TestForgedBounces"),
	},
	{
		Name: "a service may write the topics that it reads", Lines: []string{"46"}, Kind: "I",
		Rule:  "a topic is written by its owner alone",
		Edits: []Edit{{"services/choreography/topics.go", "principalYAML(&b, t.Service, write, slices.Compact(read))", "principalYAML(&b, t.Service, append(write, t.Topics()...), slices.Compact(read))"}},
		Proof: test("./services/choreography", "TestOnlyTheOwnerWrites"),
	},
	{
		Name: "every service may read personal data", Lines: []string{"46"}, Kind: "I",
		Rule:  "member.v1 is read by those that need it",
		Edits: []Edit{{"services/choreography/topics.go", "		read := t.Topics()\n", "		read := append(t.Topics(), compacted...)\n"}},
		Proof: test("./services/choreography", "TestOnlyTheOwnerWrites"),
	},
	{
		Name: "an erased member's addresses come back with a late event", Lines: []string{"47"}, Kind: "I",
		Rule:  "a copy remembers who was erased",
		Edits: []Edit{{"services/shipping/member.go", "(b.Erased || at.Before(b.ChangedAt))", "at.Before(b.ChangedAt)"}},
		Proof: test("./services/shipping/internal/store", "TestBooks"),
	},
	{
		Name: "an erasure is published as an empty value", Lines: []string{"47"}, Kind: "I",
		Rule:  "null is null on the topic: it is what compaction erases by",
		Edits: []Edit{{appending, "			payloads[i] = nil\n", "			payloads[i] = []byte{}\n"}},
		Proof: test(outboxTests, "TestNullIsNotEmpty"),
	},
	{
		Name: "two who register one e-mail address at once both may", Lines: []string{"49"}, Kind: "X",
		Rule:  "what has no row yet is locked by number before it is looked for",
		Edits: []Edit{{"services/member/internal/store/store.go", "SELECT pg_advisory_xact_lock(n) FROM", "SELECT n FROM"}},
		Proof: test("./services/member/internal/store", "TestOneEmailAtATime"),
	},
	{
		Name: "the services share one group", Lines: []string{"46"}, Kind: "I",
		Rule:  "a group per service, which moves its own offsets only",
		Edits: []Edit{{"services/choreography/topics.go", "    group: %s\\n\", service)", "    group: %s\\n\", service[:0]+\"services\")"}},
		Proof: test("./services/choreography", "TestOnlyTheOwnerWrites"),
	},
}
