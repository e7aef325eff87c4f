package mutants

const (
	consuming  = "pkg/engine/consume.go"
	processing = "pkg/engine/process.go"
	consumer   = "pkg/engine/consumer.go"
	assigning  = "pkg/engine/assign.go"
	watching   = "pkg/engine/watch.go"
	subjects   = "pkg/engine/subject.go"
	arrivals   = "pkg/engine/arrival.go"
	callBook   = "pkg/engine/callbook.go"
	parking    = "pkg/engine/park.go"
	replaying  = "pkg/engine/replay.go"
	topics     = "pkg/kafka/topic.go"
	rows       = "pkg/flow/rows.go"

	engineTests = "./pkg/engine"
)

// consumerMutants take out the rules of the engine's way from a record to a commit.
var consumerMutants = []Mutant{
	{
		Name: "a record below the fence is decided again", Lines: []string{"12", "15"}, Kind: "I",
		Rule:  "arrivals below the database's offset are dropped",
		Edits: []Edit{{consuming, "case a.record.Offset < x.next[a.slot]:", "case a.record.Offset < 0:"}},
		Proof: test(engineTests, "TestRecordsBelowTheFenceAreDropped"),
	},
	{
		Name: "an event republished is decided again", Lines: []string{"5", "20"}, Kind: "I",
		Rule:  "events that are in the inbox are dropped",
		Edits: []Edit{{consuming, "!a.known, x.entered[a.id]:", "!a.known, x.entered[a.id], !x.entered[a.id]:"}},
		Proof: test(engineTests, "TestAnEventRepublishedIsDropped"),
	},
	{
		Name: "an event twice in one batch is decided twice", Lines: []string{"20", "23"}, Kind: "I",
		Rule:  "of a repeated event in a batch the first one counts",
		Edits: []Edit{{consuming, "			delete(x.entered, a.id)\n", ""}},
		Proof: property(engineTests, "TestABatchDecidesAsOneByOneWould"),
	},
	{
		Name: "the inbox goes by the day on which a record is read", Lines: []string{"20"}, Kind: "I",
		Rule:  "the inbox's day is the event's own, which it keeps",
		Edits: []Edit{{consuming, "row{a.envelope.Time.UTC().Truncate(24 * time.Hour), a.id}", "row{time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, int(a.record.Offset)), a.id}"}},
		Proof: test(engineTests, "TestEventsOfAnyDayEnterTheInbox|TestAnEventRepublishedIsDropped"),
	},
	{
		Name: "the offset moves in a transaction of its own, before the effect", Lines: []string{"13"}, Kind: "I",
		Rule: "the fence moves in the transaction that has the effect",
		Edits: []Edit{
			{
				consuming, "	err := pg.Transact(ctx, e.cfg.Pool, func(tx *pg.Tx) (err error) {\n",
				"	if err := pg.Transact(ctx, e.cfg.Pool, func(early *pg.Tx) error {\n		next, b := map[slot]int64{}, &pg.Batch{}\n		lockFences(b, batch, next)\n" +
					"		if err := early.Send(ctx, b); err != nil {\n			return err\n		}\n		advanceFences(early.Last(), batch, next)\n		return nil\n	}); err != nil {\n		return err\n	}\n" +
					"	err := pg.Transact(ctx, e.cfg.Pool, func(tx *pg.Tx) (err error) {\n",
			},
			{consuming, "		if err := x.check(batch, position); err != nil {", "		for s := range batchSlots(batch) {\n			x.next[s] = position[s]\n		}\n		if err := x.check(batch, position); err != nil {"},
		},
		Proof: test(engineTests, "TestAKilledReplicaLosesAndDoublesNothing|TestTransientFailuresParkNobody"),
	},
	{
		Name: "a batch that failed is skipped", Lines: []string{"14"}, Kind: "I",
		Rule:  "the same batch again",
		Edits: []Edit{{processing, "			pause(ctx, failures)\n", "			pause(ctx, failures)\n			c.mu.Lock()\n			c.drop(batchSlots(batch))\n			c.mu.Unlock()\n"}},
		Proof: part(engineTests, "TestTransientFailuresParkNobody", "disk"),
	},
	{
		Name: "a service reads on from the group's offsets", Lines: []string{"15"}, Kind: "I",
		Rule:  "start offsets come from the database",
		Edits: []Edit{{assigning, "kgo.NewOffset().At(next[s]).WithEpoch(-1)", "offsets[topic][s.partition]"}},
		Proof: test(engineTests, "TestTheDatabasesOffsetsCountAndNotTheGroups"),
	},
	{
		Name: "a service that sees a topic for the first time begins at its end", Lines: []string{"15"}, Kind: "I",
		Rule: "earliest where the database knows nothing",
		Edits: []Edit{
			{assigning, "next, err := c.openFences(ctx, assigned, starts)", "next, err := c.openFences(ctx, assigned, ends)"},
		},
		Proof: test(engineTests, "TestWhatWasThereBeforeTheFirstStartIsRead"),
	},
	{
		Name: "a consumer whose offset is gone from the log goes on at its end", Lines: []string{"15"}, Kind: "I",
		Rule:  "the client never chooses an offset by itself",
		Edits: []Edit{{consumer, "kgo.NoResetOffset().AtStart()", "kgo.NewOffset().AtEnd()"}},
		Proof: test(engineTests, "TestEventsDeletedWhileTheyWaitAreFatal"),
	},
	{
		Name: "a service starts beyond events that were deleted unread", Lines: []string{"15"}, Kind: "I",
		Rule:  "missing events are fatal",
		Edits: []Edit{{assigning, "	case next < first:\n", "	case next < first && first < 0:\n"}},
		Proof: test(engineTests, "TestEventsDeletedBeforeTheyWereReadAreFatal"),
	},
	{
		Name: "a service waits at an offset that the log never reached", Lines: []string{"15", "21"}, Kind: "I",
		Rule:  "a fence beyond the end of the log is fatal",
		Edits: []Edit{{assigning, "	case next > last:\n", "	case next > last && last < 0:\n"}},
		Proof: test(engineTests, "TestAHandledOffsetBeyondTheLogIsFatal"),
	},
	{
		Name: "a database restored from a backup is not noticed by the next event", Lines: []string{"15"}, Kind: "I",
		Rule:  "the fence is held against what this process has committed",
		Edits: []Edit{{consuming, "assigned && (!ok || offset < known)", "assigned && ok && offset < known-1000000"}},
		Proof: part(engineTests, "TestARestoredDatabaseIsCaughtUp", ".*busy"),
	},
	{
		Name: "a database restored from a backup is not noticed while nothing comes", Lines: []string{"15"}, Kind: "I",
		Rule:  "fences are looked at now and then",
		Edits: []Edit{{watching, "if offset, ok := next[s]; !ok || offset < known {", "if offset, ok := next[s]; !ok && offset > known {"}},
		Proof: part(engineTests, "TestARestoredDatabaseIsCaughtUp", ".*quiet"),
	},
	{
		Name: "fences go by the topic's name", Lines: []string{"16"}, Kind: "I",
		Rule: "a topic made anew is another topic",
		Edits: []Edit{
			{assigning, "		ids[topic] = kafka.TopicID(d.ID)\n", "		ids[topic] = kafka.TopicID{byte(len(topic)), topic[len(topic)-4]}\n"},
			{topics, "		ids[name] = TopicID(d.ID)\n", "		ids[name] = TopicID{byte(len(name)), name[len(name)-4]}\n"},
			{consumer, "if t.TopicID == (kafka.TopicID{}) || t.TopicID == known {", "if t.TopicID == (kafka.TopicID{}) || t.TopicID != (kafka.TopicID{}) {"},
		},
		Proof: test(engineTests, "TestATopicMadeAnewIsReadFromItsStart"),
	},
	{
		Name: "nobody looks whether a topic was made anew", Lines: []string{"16"}, Kind: "I",
		Rule:  "topic ids are compared when a fetch seems odd",
		Edits: []Edit{{watching, "				c.startOver(topic, id)\n", ""}},
		Proof: test(engineTests, "TestATopicMadeAnewIsReadFromItsStart"),
	},
	{
		Name: "a topic with another number of partitions is taken", Lines: []string{"17"}, Kind: "L",
		Rule:  "the number of partitions is checked at start",
		Edits: []Edit{{topics, "int32(len(d.Partitions)) != c.partitions():", "int32(len(d.Partitions)) < 0:"}},
		Proof: test(engineTests, "TestAWrongNumberOfPartitionsIsRefused"),
	},
	{
		Name: "a topic with one copy is taken", Lines: []string{"21"}, Kind: "L",
		Rule:  "copies are counted at start",
		Edits: []Edit{{topics, "len(p.Replicas) < 3 || minISR < 2", "len(p.Replicas) < 1 || minISR < 1"}},
		Proof: test(engineTests, "TestTooFewCopiesAreRefused"),
	},
	{
		Name: "one copy that is in step is enough", Lines: []string{"21"}, Kind: "L",
		Rule:  "min.insync.replicas is checked at start",
		Edits: []Edit{{topics, "len(p.Replicas) < 3 || minISR < 2", "len(p.Replicas) < 3"}},
		Proof: test("./pkg/kafka", "TestReadyMeasuresDurability"),
	},
	{
		Name: "subjects are entered in any order", Lines: []string{"22"}, Kind: "I",
		Rule:  "sorted locks",
		Edits: []Edit{{subjects, "ids := slices.Sorted(maps.Keys(from))", "ids := slices.Collect(maps.Keys(from))"}},
		Proof: test(engineTests, "TestBatchesInOppositeOrderDoNotDeadlock"),
	},
	{
		Name: "subjects are locked in any order", Lines: []string{"22"}, Kind: "I",
		Rule:  "sorted locks",
		Edits: []Edit{{subjects, "pg_current_xact_id()::xid ORDER BY id FOR NO KEY UPDATE", "pg_current_xact_id()::xid ORDER BY random() FOR NO KEY UPDATE"}},
		Proof: test(engineTests, "TestBatchesInOppositeOrderDoNotDeadlock"),
	},
	{
		Name: "a deadlock is taken for poison", Lines: []string{"22"}, Kind: "I",
		Rule:  "what another transaction causes is tried again",
		Edits: []Edit{{"pkg/fault/class.go", `case state[:2] == "22", state[:2] == "23":`, `case state[:2] == "22", state[:2] == "23", state[:2] == "40":`}},
		Proof: part(engineTests, "TestTransientFailuresParkNobody", "deadlock"),
	},
	{
		Name: "a call asked for and withdrawn in one batch is made", Lines: []string{"23"}, Kind: "P",
		Rule:  "a withdrawal counts for what the same batch asked for",
		Edits: []Edit{{callBook, "			b.asked[i].state = callWithdrawn\n", ""}},
		Proof: property(engineTests, "TestABatchDecidesAsOneByOneWould"),
	},
	{
		Name: "of two calls of a kind in one batch the last one counts", Lines: []string{"23"}, Kind: "P",
		Rule:  "calls are written in the order in which they were asked for",
		Edits: []Edit{{callBook, "ORDER BY n -- of two", "ORDER BY n DESC -- of two"}},
		Proof: property(engineTests, "TestABatchDecidesAsOneByOneWould"),
	},
	{
		Name: "a decision does not see what the batch has decided before it", Lines: []string{"23"}, Kind: "P",
		Rule: "decisions of a batch see each other's rows",
		Edits: []Edit{
			{rows, "	t.rows[key] = row\n	t.changed[key] = struct{}{}\n", "	if _, loaded := t.rows[key]; !loaded {\n		t.rows[key] = row\n	}\n	t.changed[key] = struct{}{}\n	t.now(key, row)\n"},
			{rows, "Row: t.rows[key], New: isNew})", "Row: t.latest[key], New: isNew})"},
			{rows, "	fresh   map[K]struct{}\n}\n", "	fresh   map[K]struct{}\n	latest  map[K]R\n}\n\nfunc (t *Rows[K, R]) now(key K, row R) {\n	if t.latest == nil {\n		t.latest = map[K]R{}\n	}\n	t.latest[key] = row\n}\n"},
		},
		Proof: property(engineTests, "TestABatchDecidesAsOneByOneWould"),
	},
	{
		Name: "events of a batch that follow a failed one are decided", Lines: []string{"18", "23"}, Kind: "P",
		Rule:  "what follows a parked event waits behind it, also within the batch",
		Edits: []Edit{{consuming, "		s.parked = true\n		queued", "		queued"}},
		Proof: property(engineTests, "TestABatchDecidesAsOneByOneWould"),
		Crash: true,
	},
	{
		Name: "an event of another version is dropped", Lines: []string{"24"}, Kind: "P",
		Rule:  "unknown versions are parked",
		Edits: []Edit{{arrivals, `if eventType != "" && !otherVersion && !e.cfg`, `if eventType != "" && !e.cfg`}},
		Proof: test(engineTests, "TestUnreadableRecordsAreParked"),
	},
	{
		Name: "an event of another version is taken for one that is none of our business", Lines: []string{"24"}, Kind: "P",
		Rule:  "types are told apart without their version",
		Edits: []Edit{{"pkg/flow/flow.go", "got[1] == want[1] && got[3] == want[3]", "got[1] == want[1] && got[2] == want[2] && got[3] == want[3]"}},
		Proof: test("./pkg/flow", "TestConsumesAndOtherVersion"),
	},
	{
		Name: "an envelope of another version is read as this one", Lines: []string{"24"}, Kind: "P",
		Rule:  "ce_specversion and content-type are held against what we write",
		Edits: []Edit{{"pkg/kafka/envelope.go", `	case w.spec != "1.0":`, `	case w.spec == "":`}},
		Proof: test("./pkg/kafka", "TestMalformedHeaders"),
	},
	{
		Name: "an event is decided though its payload is about another subject", Lines: []string{"24", "25"}, Kind: "I",
		Rule:  "field 1 is the subject whose lock was taken",
		Edits: []Edit{{arrivals, "m.ProtoReflect().Get(id).String() != subject {", "m.ProtoReflect().Get(id).String() == subject+subject {"}},
		Proof: test(engineTests, "TestUnreadableRecordsAreParked"),
	},
	{
		Name: "an event is decided though it lies in another partition than its subject's", Lines: []string{"24"}, Kind: "P",
		Rule:  "ce_subject is the record's key",
		Edits: []Edit{{"pkg/kafka/envelope.go", `case bad == "" && w.Subject != string(r.Key):`, `case bad == "" && w.Subject != w.Subject:`}},
		Proof: test("./pkg/kafka", "TestRecordsWithNothing"),
	},
	{
		Name: "a parked event forgets the key it came with", Lines: []string{"18", "24"}, Kind: "P",
		Rule:  "a replay reads the record as it came",
		Edits: []Edit{{parking, "append([]byte{}, a.record.Key...)", "[]byte(a.envelope.Subject)"}},
		Proof: test(engineTests, "TestUnreadableRecordsAreParked"),
	},
	{
		Name: "a subject that is not known yet is not locked", Lines: []string{"25"}, Kind: "I",
		Rule: "the subject's row exists before anything is read",
		Edits: []Edit{
			{subjects, "ORDER BY n\n			ON CONFLICT DO NOTHING`, ids, roots, traces, emitted)", "WHERE false\n			ON CONFLICT DO NOTHING`, ids, roots, traces, emitted)"},
			{subjects, "if !l.loose && l.made+l.found != int64(len(l.subjects)) {", "if !l.loose && l.made+l.found > int64(len(l.subjects)) {"},
			{
				subjects, "		UPDATE subject s SET emitted = k.emitted, root = k.root\n		FROM unnest($1::text[], $2::int[], $3::text[]) AS k(id, emitted, root)\n		WHERE s.id = k.id`",
				"		INSERT INTO subject (id, emitted, root) SELECT * FROM unnest($1::text[], $2::int[], $3::text[]) AS k(id, emitted, root)\n		ON CONFLICT (id) DO UPDATE SET emitted = excluded.emitted, root = excluded.root`",
			},
		},
		Proof: part(engineTests, "TestDoAndUndoAtOnceOnTwoReplicas", "order_known_false"),
	},
	{
		Name: "a subject that is known is not locked", Lines: []string{"25"}, Kind: "I",
		Rule:  "the subject's lock is taken before anything is read",
		Edits: []Edit{{subjects, "pg_current_xact_id()::xid ORDER BY id FOR NO KEY UPDATE", "pg_current_xact_id()::xid ORDER BY id"}},
		Proof: part(engineTests, "TestDoAndUndoAtOnceOnTwoReplicas", "order_known_true"),
	},
	{
		Name: "a row that only looks as if the transaction had made it is taken for new", Lines: []string{"25"}, Kind: "I",
		Rule:  "rows made and rows locked are as many as there are subjects",
		Edits: []Edit{{subjects, "if !l.loose && l.made+l.found != int64(len(l.subjects)) {", "if !l.loose && l.made+l.found > int64(len(l.subjects)) {"}},
		Proof: test(engineTests, "TestARowThatOnlyLooksFreshIsNotTakenForNew"),
	},
	{
		Name: "what was guessed about a subject's events is never mended", Lines: []string{"4", "23"}, Kind: "P",
		Rule:  "a guess that was wrong is written over",
		Edits: []Edit{{subjects, "s.stored != (chain{s.emitted, s.root}) {", "s.stored != (chain{s.emitted, s.root}) && s.stored.emitted == 0 {"}},
		Proof: test(engineTests, "TestASubjectsRowIsRightWhateverWasGuessed|TestARefusedCommandLeavesNoGuessBehind"),
	},
	{
		Name: "a new subject's events are numbered from the guess on", Lines: []string{"4", "23"}, Kind: "P",
		Rule:  "a guess is what the row says, and not what is so",
		Edits: []Edit{{subjects, "l.subjects[id] = &subject{id: id, root: o.root, trace: o.trace, stored: o.likely}", "l.subjects[id] = &subject{id: id, emitted: o.likely.emitted, root: o.root, trace: o.trace, stored: o.likely}"}},
		Proof: test(engineTests, "TestASubjectsRowIsRightWhateverWasGuessed"),
	},
	{
		Name: "an event that concerns nobody is entered", Lines: []string{"10"}, Kind: "I",
		Rule:  "what is none of the service's business leaves no row",
		Edits: []Edit{{arrivals, "	case !e.cfg.Definition.Concerns(a.msg):\n		a.skip = true\n", "	case !e.cfg.Definition.Concerns(a.msg):\n		a.skip = a.record == nil\n"}},
		Proof: test(engineTests, "TestWhatIsNobodysBusinessLeavesNoRow"),
	},
	{
		Name: "a hurried event overtakes a relaxed one of its partition", Lines: []string{"14"}, Kind: "P",
		Rule:  "what comes before an event in its partition of a topic comes along",
		Edits: []Edit{{processing, "any && i <= end {", "any && i <= end && (a.hurried() || about[a.envelope.Subject]) {"}},
		Proof: property(engineTests, "TestAHurriedEventTakesItsCompanyAlong|TestEveryArrivalIsHandledOnceInOrder"),
	},
	{
		Name: "what is about a hurried event's subject is left behind", Lines: []string{"23"}, Kind: "P",
		Rule:  "relaxed events about the subjects of a batch come along",
		Edits: []Edit{{processing, "if a.hurried() || a.relaxed && about[a.envelope.Subject] {", "if a.hurried() {"}},
		Proof: test(engineTests, "TestAHurriedEventTakesItsCompanyAlong"),
	},
	{
		Name: "relaxed events wait for as long as hurried ones keep coming", Lines: []string{"35"}, Kind: "P",
		Rule: "when relaxed events have waited for their time, everything is taken",
		Edits: []Edit{
			{processing, "relaxed > 0 && time.Since(c.relaxedSince) >= c.relaxedPace(relaxed) {", "relaxed > 0 && time.Since(c.relaxedSince) < 0 {"},
			{processing, "time.Since(c.lastAll) >= max(time.Second, c.relaxedPace(relaxed)) ||", "c.full() ||"},
		},
		Proof: test(engineTests, "TestHurriedEventsThatNeverStopStarveNobody"),
	},
	{
		Name: "what is not ours waits for as long as hurried events come elsewhere", Lines: []string{"15"}, Kind: "P",
		Rule:  "everything is taken once a second",
		Edits: []Edit{{processing, "time.Since(c.lastAll) >= max(time.Second, c.relaxedPace(relaxed)) ||", "c.full() ||"}},
		Proof: test(engineTests, "TestWhatIsNotOursIsTakenOnceASecond"),
	},
	{
		Name: "a full queue waits for company", Lines: []string{"35"}, Kind: "P",
		Rule:  "what is full is taken: nothing is polled until there is room",
		Edits: []Edit{{processing, "case relaxed >= 4*limit, c.full():", "case relaxed >= 4*limit:"}},
		Proof: part(engineTests, "TestPatience", "a_queue_full"),
	},
	{
		Name: "a partition with a backlog keeps the others waiting", Lines: []string{"35"}, Kind: "P",
		Rule:  "a partition that had a batch to itself has had its turn",
		Edits: []Edit{{processing, "		return last + 1\n", "		return last\n"}},
		Proof: test(engineTests, "TestBatchesGoRoundThePartitions"),
	},
	{
		Name: "half of a batch that failed is of other partitions", Lines: []string{"18"}, Kind: "P",
		Rule:  "what is cut stays where it is until it is done",
		Edits: []Edit{{processing, "		due = due[:limit]\n", "		due = due[:limit]\n		c.turn = after(due)\n"}},
		Proof: test(engineTests, "TestHalvesAreOfTheBatchThatFailed"),
	},
	{
		Name: "what is gone with its partition is still owed", Lines: []string{"10"}, Kind: "P",
		Rule:  "no more is owed than is pending",
		Edits: []Edit{{consumer, "	c.owed = min(c.owed, len(kept))\n", ""}},
		Proof: test(engineTests, "TestNothingIsOwedOfWhatIsGone"),
	},
	{
		Name: "a call claimed as it is asked for has no lease", Lines: []string{"29"}, Kind: "I",
		Rule:  "a claim is the row's due_at at the end of the lease",
		Edits: []Edit{{callBook, "due[i], attempts[i] = b.now.Add(b.lease), 1", "due[i], attempts[i] = b.now, 1"}},
		Proof: test(engineTests, "TestACallIsMadeOnceAndItsAnswerDecidedOnce|TestMoreCallsThanThereIsRoomForAreAllMade"),
	},
	{
		Name: "a call claimed as it is asked for is its process's for ever", Lines: []string{"29"}, Kind: "I",
		Rule:  "a call whose process died is due again",
		Edits: []Edit{{callBook, "due[i], attempts[i] = b.now.Add(b.lease), 1", "due[i], attempts[i] = b.now.Add(1000*b.lease), 1"}},
		Proof: test(engineTests, "TestACallWhoseProcessDiedBeforeItWasMade"),
	},
	{
		Name: "a process claims every call that it asks for", Lines: []string{"34a"}, Kind: "I",
		Rule:  "no more than can be sent within the claim",
		Edits: []Edit{{callBook, "if len(claimed) >= b.room {", "if len(claimed) >= b.room+1000000 {"}},
		Proof: test(engineTests, "TestMoreCallsThanThereIsRoomForAreAllMade"),
	},
	{
		Name: "the clock is read before the lock", Lines: []string{"36"}, Kind: "I",
		Rule:  "the database's clock, after the locks",
		Edits: []Edit{{subjects, "SELECT clock_timestamp()", "SELECT transaction_timestamp()"}},
		Proof: test(engineTests, "TestTheClockIsReadAfterTheLock"),
	},
}
