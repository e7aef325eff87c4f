package mutants

// batchMutants take out the rules of the model under which transactions are few and full: calls are claimed as they are
// asked for, a batch is cut from what is pending in any way, and what is nobody's business is read past.
var batchMutants = []Mutant{
	// 29, 30 and 34a: calls that are claimed as they are asked for.
	{
		Name: "a call claimed as it is asked for is made although its COMMIT failed", Lines: []string{"29"}, Kind: "S",
		Rule:  "a call is made once the transaction that asks for it has committed",
		Edits: []Edit{{modelConsumer, "	c, single := run.consumer, len(run.batch) == 1\n	var stop", "	c, single := run.consumer, len(run.batch) == 1\n	if err != nil {\n		c.worker.start(run.book.mine)\n	}\n	var stop"}},
		Proof: seeds(200),
	},
	{
		Name: "a call claimed as it is asked for has no end of its lease", Lines: []string{"29", "34a"}, Kind: "S",
		Rule:  "what this process does not make is claimed again when the lease ends",
		Edits: []Edit{{modelApply, "asked.attempts, asked.due = 1, b.now.Add(callLease)", "asked.attempts, asked.due = 1, b.now.AddDate(1, 0, 0)"}},
		Proof: seeds(200),
	},
	{
		Name: "a call claimed as it is asked for can be claimed by another at once", Lines: []string{"34a"}, Kind: "S",
		Rule:  "its row is written with the end of its lease",
		Edits: []Edit{{modelApply, "asked.attempts, asked.due = 1, b.now.Add(callLease)", "asked.attempts = 1"}},
		Proof: seeds(200),
	},
	{
		Name: "a call claimed as it is asked for counts as never tried", Lines: []string{"30"}, Kind: "S",
		Rule:  "its row is written with its first attempt, so that the next one begins by asking",
		Edits: []Edit{{modelApply, "			b.mine = append(b.mine, asked.claim(t.begun, b.skew))\n", "			b.mine = append(b.mine, asked.claim(t.begun, b.skew))\n			asked.attempts = 0\n"}},
		Proof: seeds(200),
	},
	{
		Name: "the lease of a call claimed as it is asked for counts from when it is made", Lines: []string{"34a"}, Kind: "S",
		Rule:  "the lease counts from before the transaction",
		Edits: []Edit{{modelWorker, "			w.waiting = append(w.waiting, c)\n", "			c.claimedAt = w.now\n			w.waiting = append(w.waiting, c)\n"}},
		Proof: seeds(300),
	},
	{
		Name: "a call that was not sent is given back to whoever has not got it", Lines: []string{"34a"}, Kind: "S",
		Rule:  "a claim is given back by the one whose it is",
		Edits: []Edit{{modelWorker, "row.attempts != c.attempt || row.state", "row.attempts < c.attempt || row.state"}},
		Proof: seeds(300),
	},
	// 13, 18, 19 and 33: batches cut anyhow, and events that are read past.
	{
		Name: "a batch leaves a gap in a partition", Lines: []string{"13"}, Kind: "S",
		Rule:  "a batch has of each partition of a topic what stands first there",
		Edits: []Edit{{modelConsumer, "queues[s] = queues[s][:c.rng.IntN(len(queues[s])+1)]", "queues[s] = queues[s][c.rng.IntN(len(queues[s])+1):]"}},
		Proof: seeds(200),
	},
	{
		Name: "a batch turns a partition's order round", Lines: []string{"13", "19"}, Kind: "S",
		Rule:  "within a partition of a topic the order stays",
		Edits: []Edit{{modelConsumer, "		chosen = append(chosen, queue[:n]...)\n", "		chosen = append(chosen, queue[:n]...)\n		slices.Reverse(chosen[len(chosen)-n:])\n"}},
		Proof: seeds(200),
	},
	{
		Name: "an event that cannot be read is taken for nobody's business", Lines: []string{"18"}, Kind: "S",
		Rule:  "only what was decoded can be read past",
		Edits: []Edit{{modelConsumer, "	if a.err == nil {\n		a.skip = a.skip ||", "	if a.err != nil {\n		a.skip = true\n	} else {\n		a.skip = a.skip ||"}},
		Proof: seeds(200),
	},
	{
		Name: "a condition has coupon read past the end of an undone payment", Lines: []string{"33"}, Kind: "S",
		Rule:  "a condition only rules out what is ignored in every state",
		Edits: []Edit{{realCouponTopology, "(*paymentv1.PaymentCancelled).GetHasCoupons)", "(*paymentv1.PaymentCancelled).GetHasCoupons, func(e *paymentv1.PaymentCancelled) bool { return e.GetPaymentAmount() > 0 })"}},
		Proof: seeds(200),
	},
}
