package mutants

const (
	stopping = "pkg/engine/stop.go"
	lane     = "pkg/engine/lane.go"
	command  = "pkg/engine/command.go"
	calling  = "pkg/engine/call.go"
	sweeping = "pkg/engine/sweep.go"
	applying = "pkg/engine/apply.go"
	classes  = "pkg/fault/class.go"
)

// poisonMutants take out the rules about events that cannot be handled, and about what goes through the command lane.
var poisonMutants = []Mutant{
	{
		Name: "a batch with an event that cannot be handled is tried as it is, for ever", Lines: []string{"18"}, Kind: "P",
		Rule:  "halve the batch until the event stands alone",
		Edits: []Edit{{processing, "			limit = max(1, len(batch)/2)\n", "			limit = len(batch)\n"}},
		Proof: test(engineTests, "TestPoisonParksItsSubjectOnly"),
	},
	{
		Name: "an event that cannot be handled is dropped", Lines: []string{"18"}, Kind: "P",
		Rule:  "park it",
		Edits: []Edit{{processing, "			parkWith = alone.err\n", "			batch[0].skip = true\n"}},
		Proof: test(engineTests, "TestPoisonParksItsSubjectOnly"),
	},
	{
		Name: "a full disk parks order after order", Lines: []string{"18"}, Kind: "P",
		Rule:  "only what is certain to fail again is parked",
		Edits: []Edit{{classes, `case state[:2] == "22", state[:2] == "23":`, `case state[:2] == "22", state[:2] == "23", state[:2] == "53":`}},
		Proof: part(engineTests, "TestTransientFailuresParkNobody", "disk"),
	},
	{
		Name: "a release without its migration parks order after order", Lines: []string{"18"}, Kind: "P",
		Rule:  "what hits every event alike is no event's fault",
		Edits: []Edit{{classes, `case state[:2] == "22", state[:2] == "23":`, `case state[:2] == "22", state[:2] == "23", state[:2] == "42":`}},
		Proof: part(engineTests, "TestTransientFailuresParkNobody", "no_such"),
	},
	{
		Name: "bad values are tried again for ever", Lines: []string{"18"}, Kind: "P",
		Rule:  "what the database refuses for its value is parked",
		Edits: []Edit{{classes, `case state[:2] == "22", state[:2] == "23":`, `case state[:2] == "22":`}},
		Proof: part(engineTests, "TestPoisonParksItsSubjectOnly", "SQLSTATE"),
	},
	{
		Name: "events of a parked subject are decided", Lines: []string{"18"}, Kind: "P",
		Rule:  "what follows a parked event waits behind it",
		Edits: []Edit{{consuming, "if a.err == nil && !s.parked {", "if a.err == nil {"}},
		Proof: test(engineTests, "TestPoisonParksItsSubjectOnly"),
	},
	{
		Name: "a replay reads the queue before it has the lock", Lines: []string{"18"}, Kind: "P",
		Rule: "the queue is read and emptied under the subject's lock",
		Edits: []Edit{
			{replaying, "		batch := &pg.Batch{}\n", "		queue, err := e.readParked(ctx, tx, id)\n		if err != nil {\n			return err\n		}\n		batch := &pg.Batch{}\n"},
			{replaying, "		queue, err := e.readParked(ctx, tx, id)\n		if err != nil {\n			return err\n		}\n		var items", "		var items"},
		},
		Proof: test(engineTests, "TestAReplayRacingWithArrivalsStrandsNothing"),
	},
	{
		Name: "a subject whose events are decided side by side is never seen to be parked", Lines: []string{"18"}, Kind: "I",
		Rule:  "parked subjects are looked for, whether or not others have a row",
		Edits: []Edit{{subjects, "				l.subjects[id].parked = parked\n", ""}},
		Proof: test(engineTests, "TestDecisionsSideBySideLeaveNoRowPerSubject"),
	},
	{
		Name: "a batch that saw a parked subject queues its event without the lock", Lines: []string{"18"}, Kind: "P",
		Rule:  "who queues an event holds its subject's lock",
		Edits: []Edit{{subjects, "pg_current_xact_id()::xid ORDER BY id FOR NO KEY UPDATE", "pg_current_xact_id()::xid ORDER BY id"}},
		Proof: test(engineTests, "TestAReplayRacingWithArrivalsStrandsNothing"),
	},
	{
		Name: "code that fails for every order parks every order", Lines: []string{"18"}, Kind: "P",
		Rule:  "a partition stops after 20 parked subjects in a minute",
		Edits: []Edit{{parking, "len(failed) > max(room, 0) {", "len(failed) > max(room, 1<<30) {"}},
		Proof: test(engineTests, "TestTooManyParkedStopThePartitionUntilResumed"),
	},
	{
		Name: "a stopped partition goes on behind what it has dropped", Lines: []string{"18"}, Kind: "P",
		Rule:  "resumed, a partition is read again from the database's offset",
		Edits: []Edit{{stopping, "				c.again[s] = true\n", ""}},
		Proof: test(engineTests, "TestTooManyParkedStopThePartitionUntilResumed"),
	},
	{
		Name: "nobody tries parked subjects again", Lines: []string{"18"}, Kind: "P",
		Rule:  "replays by themselves, three times",
		Edits: []Edit{{parking, "	if n >= len(e.tuning.Retries) {\n", "	if n >= 0 {\n"}},
		Proof: test(engineTests, "TestParkedSubjectsAreTriedAgainByThemselves"),
	},
	{
		Name: "what PostgreSQL cannot store cannot be parked either", Lines: []string{"18"}, Kind: "P",
		Rule:  "any bytes can be parked",
		Edits: []Edit{{arrivals, "	return strings.ReplaceAll(strings.ToValidUTF8(s, \"\\uFFFD\"), \"\\x00\", \"\\uFFFD\")\n", "	return strings.TrimSpace(s)\n"}},
		Proof: test(engineTests, "TestUnreadableRecordsAreParked"),
	},
	{
		Name: "a panic while loading ends the process", Lines: []string{"18"}, Kind: "P",
		Rule:  "a panic is an error of the event",
		Edits: []Edit{{applying, "		if v := recover(); v != nil {", "		if v := any(nil); v != nil {"}},
		Proof: test(engineTests, "TestAPanicOfTheStoreParks"),
		Crash: true,
	},
	{
		Name: "a replay runs the newest event first", Lines: []string{"19"}, Kind: "I",
		Rule:  "oldest first",
		Edits: []Edit{{parking, "FROM parked_event WHERE subject = $1 ORDER BY id`", "FROM parked_event WHERE subject = $1 ORDER BY id DESC`"}},
		Proof: test(engineTests, "TestPoisonParksItsSubjectOnly"),
	},
	{
		Name: "commands on a parked subject are decided", Lines: []string{"19"}, Kind: "I",
		Rule:  "nothing passes a parked event, not by another way either",
		Edits: []Edit{{lane, "		case w.request != nil && parked:\n", "		case w.request != nil && parked && !parked:\n"}},
		Proof: test(engineTests, "TestOnAParkedSubjectCommandsAreRefusedAndDeadlinesWait"),
	},
	{
		Name: "deadlines of a parked subject are decided", Lines: []string{"19"}, Kind: "I",
		Rule:  "nothing passes a parked event, not by another way either",
		Edits: []Edit{{lane, "		case w.call != nil && !open[w], parked:\n", "		case w.call != nil && !open[w]:\n"}},
		Proof: test(engineTests, "TestOnAParkedSubjectCommandsAreRefusedAndDeadlinesWait"),
	},
	{
		Name: "a key that another replica used meanwhile decides once more", Lines: []string{"28"}, Kind: "I",
		Rule:  "an answer that could not be kept fails its transaction",
		Edits: []Edit{{command, "		ORDER BY n`, members", "		ORDER BY n ON CONFLICT DO NOTHING`, members"}},
		Proof: test(engineTests, "TestTwoReplicasWithOneKeyAreOneDecision"),
	},
	{
		Name: "a rerun does not look for the keys that were made here", Lines: []string{"11", "28"}, Kind: "I",
		Rule:  "a batch that is run again looks every key up",
		Edits: []Edit{{command, "if rerun || w.request.Key != w.commandID {", "if w.request.Key != w.commandID {"}},
		Proof: test(engineTests, "TestACommandIsAnsweredAfterACommitOfUnknownOutcome"),
	},
	{
		Name: "two requests with one key in one batch are decided twice", Lines: []string{"28"}, Kind: "I",
		Rule: "the second one gets the first one's answer",
		Edits: []Edit{
			{command, "		case leader == nil:\n", "		case leader == nil || leader != nil:\n"},
			{command, "		ORDER BY n`, members", "		ORDER BY n ON CONFLICT DO NOTHING`, members"}, // or the batch would never commit
		},
		Proof: test(engineTests, "TestParallelRequestsWithOneKeyAreOneDecision"),
	},
	{
		Name: "a key is good for another body", Lines: []string{"28"}, Kind: "I",
		Rule:  "the body's hash is held against the first one's",
		Edits: []Edit{{command, "	if !bytes.Equal(s.hash, w.request.BodyHash) {", "	if !bytes.Equal(s.hash, s.hash) {"}},
		Proof: test(engineTests, "TestAKeyReusedForAnotherBodyIsRefused"),
	},
	{
		Name: "a command whose COMMIT is of unknown outcome counts as somebody else's", Lines: []string{"11"}, Kind: "I",
		Rule:  "a rerun knows its own answer by the command's id",
		Edits: []Edit{{command, "	w.answer.Replayed = s.id != w.commandID\n", "	w.answer.Replayed = true\n"}},
		Proof: test(engineTests, "TestACommandIsAnsweredAfterACommitOfUnknownOutcome"),
	},
	{
		Name: "the answer of a call that was claimed anew counts", Lines: []string{"29"}, Kind: "I",
		Rule: "an answer counts for the attempt it was given to",
		Edits: []Edit{
			{calling, "c.attempts = k.attempt AND c.state = $5", "c.attempts >= k.attempt AND c.state IN ($4, $5)"},
			{calling, "RETURNING c.subject, c.kind, c.attempts`, ids", "RETURNING c.subject, c.kind, k.attempt`, ids"},
		},
		Proof: test(engineTests, "TestACallOfADeadWorkerIsMadeAgain"),
	},
	{
		Name: "the answer of a call that was withdrawn counts", Lines: []string{"29"}, Kind: "I",
		Rule:  "withdrawn is withdrawn",
		Edits: []Edit{{calling, "c.attempts = k.attempt AND c.state = $5", "c.attempts = k.attempt AND c.state IN ($5, 2)"}},
		Proof: test(engineTests, "TestTheAnswerOfAWithdrawnCallIsDropped"),
	},
	{
		Name: "a claimed call is nobody's lease", Lines: []string{"29"}, Kind: "I",
		Rule:  "a claim moves the call's due time to the end of its lease",
		Edits: []Edit{{calling, "UPDATE call c SET due_at = clock_timestamp() + $2, attempts", "UPDATE call c SET due_at = clock_timestamp() + $2 - $2, attempts"}},
		Proof: test(engineTests, "TestAClaimIsALease"),
	},
	{
		Name: "a worker that was paused sends after its claim has ended", Lines: []string{"34a", "36"}, Kind: "I",
		Rule:  "no send past the claim, by the monotonic clock",
		Edits: []Edit{{calling, "|| time.Since(claimedAt) > w.e.tuning.CallLease-w.e.tuning.CallTimeout {", "|| time.Since(claimedAt) < 0 {"}},
		Proof: test(engineTests, "TestAPausedWorkerDoesNotSend"),
	},
	{
		Name: "a worker that stops makes all the calls it has claimed", Lines: []string{"34a"}, Kind: "I",
		Rule: "what waits for a slot is another's to make",
		Edits: []Edit{
			{calling, "	select {\n	case <-ctx.Done():\n		return nil, false, nil\n	case w.slots <- struct{}{}:\n	}\n", "	w.slots <- struct{}{}\n"},
			{calling, "if ctx.Err() != nil || time.Since(claimedAt) >", "if time.Since(claimedAt) >"},
		},
		Proof: test(engineTests, "TestAStoppingWorkerMakesNoMoreCalls"),
	},
	{
		Name: "a call that was not sent lies until its claim ends", Lines: []string{"35"}, Kind: "I",
		Rule:  "what is not sent is given back",
		Edits: []Edit{{calling, "		w.giveBack(c)\n", ""}},
		Proof: test(engineTests, "TestACallThatWaitedTooLongIsGivenBack|TestAStoppingWorkerMakesNoMoreCalls"),
	},
	{
		Name: "deadlines fire while the answer stands unread in the topic", Lines: []string{"35"}, Kind: "I",
		Rule:  "deadlines wait until the consumer has caught up",
		Edits: []Edit{{sweeping, "	case <-e.consumer.caught:\n", "	default:\n"}},
		Proof: test(engineTests, "TestDeadlinesWaitUntilTheConsumerHasCaughtUp"),
	},
	{
		Name: "a deadline that has passed is found by nobody", Lines: []string{"35"}, Kind: "I",
		Rule:  "deadlines are rows, swept by every replica",
		Edits: []Edit{{sweeping, "	var submitted []*work\n	for _, d := range due {\n", "	var submitted []*work\n	for _, d := range due[len(due):] {\n"}},
		Proof: test(engineTests, "TestDeadlinesFireByTheDatabasesClock|TestDeadlinesSurviveARestart"),
	},
	{
		Name: "a deadline that cannot be decided is tried at every sweep", Lines: []string{"35"}, Kind: "I",
		Rule:  "a rest that grows with every failure",
		Edits: []Edit{{sweeping, "; rests && time.Now().Before(r.until) {", "; rests && time.Now().Before(r.until.Add(-longestRest)) {"}},
		Proof: test(engineTests, "TestADeadlineThatFailsRests"),
	},
}
