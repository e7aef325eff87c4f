package mutants

// The simulator's model of the engine's protocol. Where a mutant edits it, the engine's own rule has its
// integration test, and its mutant in consumer.go; here the simulator is shown to notice.
const (
	modelConsumer = "services/choreography/simulator/consumer.go"
	modelPark     = "services/choreography/simulator/park.go"
	modelApply    = "services/choreography/simulator/apply.go"
	modelLane     = "services/choreography/simulator/lane.go"
	modelWorker   = "services/choreography/simulator/worker.go"
	modelCaller   = "services/choreography/simulator/caller.go"
	modelProvider = "services/choreography/simulator/provider.go"
	modelTable    = "services/choreography/simulator/table.go"
	modelMoney    = "services/choreography/simulator/table_money.go"
	modelGroup    = "services/choreography/simulator/group.go"
	modelRelay    = "services/choreography/simulator/relay.go"
)

// The real decide functions.
const (
	realFaultClass     = "pkg/fault/class.go"
	realOrderForward   = "services/order/forward.go"
	realOrderOrder     = "services/order/order.go"
	realOrderCancel    = "services/order/cancel.go"
	realOrderPlace     = "services/order/place.go"
	realOrderBack      = "services/order/back.go"
	realStockStock     = "services/stock/stock.go"
	realStockTopology  = "services/stock/topology.go"
	realCouponTopology = "services/coupon/topology.go"
	realCouponCoupon   = "services/coupon/coupon.go"
	realCouponDiscount = "services/coupon/discount.go"
	realPaymentAnswer  = "services/payment/answer.go"
	realPaymentPayment = "services/payment/payment.go"
	realPaymentPoints  = "services/payment/points.go"
	realShippingAnswer = "services/shipping/answer.go"
	realShippingTrack  = "services/shipping/track.go"
	realShippingOrder  = "services/shipping/shipping.go"
	realMailerMailer   = "services/mailer/mailer.go"
)

// seeds is the proof by the simulator.
func seeds(n int) Proof { return Proof{Seeds: n} }

// simulatorMutants take out the rules that the simulator proves.
var simulatorMutants = []Mutant{
	// 11 to 14: the way from a record to a commit.
	{
		Name: "a batch whose COMMIT is of unknown outcome counts as done", Lines: []string{"11"}, Kind: "S",
		Rule:  "an unknown COMMIT is run again",
		Edits: []Edit{{modelConsumer, "	case err == nil:\n		c.worker.start", "	case err == nil, errors.Is(err, errUnknownCommit):\n		c.worker.start"}},
		Proof: seeds(200),
	},
	{
		Name: "a command whose COMMIT is of unknown outcome is decided again", Lines: []string{"11"}, Kind: "S",
		Rule:  "a rerun finds the answer under the command's key",
		Edits: []Edit{{modelLane, "if stored, used := t.db.commands[key]; used {\n			w.answer", "if stored, used := t.db.commands[key]; used && stored.id != w.id {\n			w.answer"}, {modelLane, "if _, used := t.db.commands[key]; used {", "if stored, used := t.db.commands[key]; used && stored.id != w.id {"}},
		Proof: seeds(1500),
	},
	{
		Name: "a former owner of a partition is not fenced", Lines: []string{"12"}, Kind: "S",
		Rule:  "records below the fence are dropped in the transaction that holds it",
		Edits: []Edit{{modelConsumer, "if a.offset < t.db.fences[a.slot] {", "if a.offset < 0 {"}},
		Proof: seeds(200),
	},
	{
		Name: "two owners of a partition read the fence without its lock", Lines: []string{"12"}, Kind: "S",
		Rule:  "the fence's row is locked before it is looked at",
		Edits: []Edit{{modelConsumer, "if err := t.lock(lockKey{\"fence\", fenceName(s)}); err != nil {", "if err := t.lock([]lockKey{{\"fence\", fenceName(s)}}[:0]...); err != nil {"}},
		Proof: seeds(200),
	},
	{
		Name: "the offset moves before the effect", Lines: []string{"13"}, Kind: "S",
		Rule:  "the fence moves in the transaction that has the effect",
		Edits: []Edit{{modelConsumer, "t.writes = append(t.writes, func() { t.db.fences[s] = moved[s] })", "t.db.fences[s] = moved[s]"}},
		Proof: seeds(200),
	},
	{
		Name: "a consumer begins where it has polled to, not where the database is", Lines: []string{"13"}, Kind: "S",
		Rule:  "the database's offset is the truth",
		Edits: []Edit{{modelGroup, "r.consumer.assign(s, g.service.db.fences[s])", "r.consumer.assign(s, max(g.service.db.fences[s], len(g.broker.logs[s])-1))"}},
		Proof: seeds(200),
	},
	{
		Name: "a batch that failed is left behind by the next poll", Lines: []string{"14"}, Kind: "S",
		Rule:  "the same batch again",
		Edits: []Edit{{modelConsumer, "	default:\n		c.failures++\n", "	default:\n		c.done(run)\n		c.failures++\n"}},
		Proof: seeds(200),
	},
	// 18 to 20: poison, replay, inbox.
	{
		Name: "a poison event is dropped", Lines: []string{"18"}, Kind: "S",
		Rule:  "what cannot be handled is parked, not dropped",
		Edits: []Edit{{modelConsumer, "		s.parked = true\n		queued = append(queued, a)\n", "		if s.parked {\n			queued = append(queued, a)\n		}\n		s.parked = true\n"}},
		Proof: seeds(300),
	},
	{
		Name: "what follows a parked event is handled before it", Lines: []string{"18", "19"}, Kind: "S",
		Rule:  "an event is parked with what follows it",
		Edits: []Edit{{modelConsumer, "if a.err == nil && !s.parked {", "if a.err == nil {"}},
		Proof: seeds(300),
	},
	{
		Name: "an event is stranded between parking and replay", Lines: []string{"18"}, Kind: "S",
		Rule:  "a replay holds the subject's lock",
		Edits: []Edit{{modelPark, "run.service, run.roots = r.service, map[string]string{id: \"\"}\n	r.begin(run.end, steps([]step{run.lockSubjects, run.read}", "run.service, run.roots = r.service, map[string]string{id: \"\"}\n	noLock := func(t *txn) error {\n		row := t.db.subjects[id]\n		row.id = id\n		run.subjects, run.now = map[string]*subject{id: &row}, t.db.clock()\n		return nil\n	}\n	r.begin(run.end, steps([]step{noLock, run.read}"}},
		Proof: seeds(3000),
	},
	{
		Name: "a full disk is taken for poison", Lines: []string{"18"}, Kind: "S",
		Rule:  "only what is sure to fail again is parked",
		Edits: []Edit{{realFaultClass, "case state[:2] == \"22\", state[:2] == \"23\":", "case state[:2] == \"22\", state[:2] == \"23\", state[:2] == \"53\":"}},
		Proof: seeds(300),
	},
	{
		Name: "a replay takes the newest event first", Lines: []string{"19"}, Kind: "S",
		Rule:  "a queue is replayed oldest first",
		Edits: []Edit{{modelPark, "	for _, was := range run.handled {\n", "	for _, was := range slices.Backward(run.handled) {\n"}},
		Proof: seeds(300),
	},
	{
		Name: "an inbox forgets what still comes again", Lines: []string{"20"}, Kind: "S",
		Rule:  "events that are in the inbox are dropped",
		Edits: []Edit{{modelConsumer, "!entered || t.db.inbox[id] {", "!entered {"}},
		Proof: seeds(200),
	},
	{
		Name: "stock takes an order's pieces again when the inbox has forgotten", Lines: []string{"20"}, Kind: "S",
		Rule:  "an order takes its pieces once, for ever",
		Edits: []Edit{{realStockStock, "if _, known := w.Reservations.Get(e.GetOrderId()); known {", "if row, known := w.Reservations.Get(e.GetOrderId()); known && row.State == Returned {"}},
		Proof: seeds(300),
	},
	{
		Name: "coupon uses an order's coupons again when the inbox has forgotten", Lines: []string{"20"}, Kind: "S",
		Rule:  "an order uses its coupons once, for ever",
		Edits: []Edit{{realCouponCoupon, "if _, known := w.Uses.Get(e.GetOrderId()); known || len(refs) == 0 {", "if use, known := w.Uses.Get(e.GetOrderId()); known && use.State != Refused || len(refs) == 0 {"}},
		Proof: seeds(300),
	},
	{
		Name: "payment opens an order's payment again when the inbox has forgotten", Lines: []string{"20", "29"}, Kind: "S",
		Rule:  "a payment is opened once, for ever",
		Edits: []Edit{{realPaymentPayment, "if _, known := w.Payments.Get(a.orderID); known {", "if p, known := w.Payments.Get(a.orderID); known && p.State != Failed {"}},
		Proof: seeds(300),
	},
	// 25: undo before do.
	{
		Name: "stock leaves no tombstone", Lines: []string{"25"}, Kind: "S",
		Rule:  "who is told to undo what was not done refuses it from then on",
		Edits: []Edit{{realStockStock, "	w.Reservations.Put(orderID, row)\n	return []flow.Event{back}\n", "	if known {\n		w.Reservations.Put(orderID, row)\n	}\n	return []flow.Event{back}\n"}},
		Proof: seeds(300),
	},
	{
		Name: "coupon leaves no tombstone", Lines: []string{"25"}, Kind: "S",
		Rule:  "who is told to undo what was not done refuses it from then on",
		Edits: []Edit{{realCouponCoupon, "	w.Uses.Put(orderID, use)\n	return []flow.Event{back}\n", "	if known {\n		w.Uses.Put(orderID, use)\n	}\n	return []flow.Event{back}\n"}},
		Proof: seeds(500),
	},
	{
		Name: "payment leaves no tombstone", Lines: []string{"25", "33"}, Kind: "S",
		Rule:  "who is told to undo what was not done refuses it from then on",
		Edits: []Edit{{realPaymentPayment, "		w.Call(flow.Call{Subject: p.OrderID, Kind: CallRefund, Body: p.RefundCall()})\n	}\n	put(w, p, m)\n", "		w.Call(flow.Call{Subject: p.OrderID, Kind: CallRefund, Body: p.RefundCall()})\n	}\n	if p.PaymentID != \"\" {\n		put(w, p, m)\n	}\n"}},
		Proof: seeds(300),
	},
	{
		Name: "do and undo run side by side on two replicas", Lines: []string{"25"}, Kind: "S",
		Rule:  "the subject's lock is taken before anything is read",
		Edits: []Edit{{modelApply, "if err := t.lock(lockKey{\"subject\", id}); err != nil {", "if err := t.lock([]lockKey{{\"subject\", id}}[:0]...); err != nil {"}},
		Proof: seeds(200),
	},
	// 26 and 27: what is there once.
	{
		Name: "stock gives more than there is", Lines: []string{"26"}, Kind: "S",
		Rule:  "an order gets all its pieces or none",
		Edits: []Edit{{realStockStock, "if x.quantity <= product.Quantity && ", "if x.quantity <= product.Quantity+1 && "}},
		Proof: seeds(200),
	},
	{
		Name: "two orders decide on one product side by side", Lines: []string{"26"}, Kind: "S",
		Rule:  "stock decides under the product's lock",
		Edits: []Edit{{modelTable, "return t.named(in).locks(\"product\")", "return t.named(nil).locks(\"product\")"}},
		Proof: seeds(200),
	},
	{
		Name: "two orders use one coupon", Lines: []string{"27"}, Kind: "S",
		Rule:  "a coupon that is used is refused",
		Edits: []Edit{{realCouponDiscount, "	case c.UsedBy != \"\":\n", "	case c.UsedBy != \"\" && c.UsedAt.After(now):\n"}},
		Proof: seeds(200),
	},
	{
		Name: "two orders decide on one coupon side by side", Lines: []string{"27"}, Kind: "S",
		Rule:  "coupon decides under the coupon's lock, and a coupon is spent once",
		Edits: []Edit{{modelMoney, "t.needed(in).locks(\"coupon\")", "t.needed(nil).locks(\"coupon\")"}, {modelMoney, "row.UsedBy != \"\" && spent && !given[c.Key]", "row.UsedBy != \"\" && spent && given[c.Key]"}},
		Proof: seeds(3000),
	},
	{
		Name: "two orders spend the same points", Lines: []string{"27"}, Kind: "S",
		Rule:  "points are taken under the balance's lock",
		Edits: []Edit{{modelMoney, "return t.members(in).locks(\"points\")", "return t.members(nil).locks(\"points\")"}},
		Proof: seeds(500),
	},
	{
		Name: "points are given back twice", Lines: []string{"27"}, Kind: "S",
		Rule:  "the payment's row says what is held",
		Edits: []Edit{{realPaymentPoints, "	p.Points = 0\n", ""}},
		Proof: seeds(200),
	},
	// 29 and 30: charges.
	{
		Name: "a transfer nobody has paid is not closed", Lines: []string{"29"}, Kind: "S",
		Rule:  "an account that money may be on its way into is closed at the provider before the undo goes on",
		Edits: []Edit{{realPaymentPayment, "	case Voiding, Awaiting:\n", "	case Voiding:\n"}},
		Proof: seeds(200),
	},
	{
		Name: "a webhook that overtakes the cancel is not given back", Lines: []string{"31"}, Kind: "S",
		Rule:  "a webhook and a synchronous answer are one transition",
		Edits: []Edit{{"services/payment/notify.go", "cancel(w, p, c.Outcome == Captured, m)", "cancel(w, p, false, m)"}},
		Proof: test("./services/payment", "TestEveryStateMeetsEveryInput"),
	},
	{
		Name: "a charge of unknown outcome counts as failed", Lines: []string{"29"}, Kind: "S",
		Rule:  "an unknown outcome is asked for",
		Edits: []Edit{{realPaymentAnswer, "		return complete(w, p, a.ChargeID, m)\n	case Declined, KeyVoided:\n		return fail(w, p, declineWord(a.Reason), m)\n	case ChargePending:\n		return await(w, p, a.Account, m)\n	}\n	p.State = Asking\n", "		return complete(w, p, a.ChargeID, m)\n	case Declined, KeyVoided, ChargeIsUnknown:\n		return fail(w, p, declineWord(a.Reason), m)\n	case ChargePending:\n		return await(w, p, a.Account, m)\n	}\n	p.State = Asking\n"}},
		Proof: seeds(200),
	},
	{
		Name: "a capture for an order that is cancelled is kept", Lines: []string{"29", "33"}, Kind: "S",
		Rule:  "a capture for an order nobody wants any more is refunded",
		Edits: []Edit{{realPaymentAnswer, "		return cancel(w, p, captured, m)\n", "		return cancel(w, p, captured && p.ChargeID == \"\", m)\n"}},
		Proof: seeds(500),
	},
	{
		Name: "a charge is sent again without asking", Lines: []string{"30"}, Kind: "S",
		Rule:  "every try but the first begins by asking: the provider's memory for keys ends",
		Edits: []Edit{{modelCaller, "	if c.attempt == 1 {\n		send()\n		return\n	}\n	var known charge\n", "	if c.attempt >= 1 {\n		send()\n		return\n	}\n	var known charge\n"}},
		Proof: seeds(4000),
	},
	{
		Name: "a refund is sent again without asking", Lines: []string{"30", "34"}, Kind: "S",
		Rule:  "every try but the first begins by asking: the provider's memory for keys ends",
		Edits: []Edit{{modelCaller, "if c.attempt == 1 && !asking {", "if c.attempt >= 1 {"}},
		Proof: seeds(2000),
	},
	// 31 and 32: webhooks.
	{
		Name: "the answer of a booking comes after its webhook and counts again", Lines: []string{"31"}, Kind: "S",
		Rule:  "one transition, whoever brings the word first",
		Edits: []Edit{{realShippingAnswer, "	if s.State != Booking {\n", "	if s.State != Booking && s.State != Dispatched {\n"}, {realShippingTrack, "		w.Withdraw(s.OrderID, kind)\n", "		_ = kind\n"}},
		Proof: seeds(500),
	},
	{
		Name: "the answer of a cancel comes after its webhook and counts again", Lines: []string{"31"}, Kind: "S",
		Rule: "one transition, whoever brings the word first",
		Edits: []Edit{
			{realShippingAnswer, "	if s.State != Stopping {\n", "	if s.State != Stopping && s.State != Dispatched {\n"},
			{realShippingTrack, "		w.Withdraw(s.OrderID, kind)\n", "		_ = kind\n"},
		},
		Proof: seeds(300),
	},
	{
		Name: "tracking goes back with a late webhook", Lines: []string{"32"}, Kind: "S",
		Rule:  "tracking only moves on",
		Edits: []Edit{{realShippingTrack, "moved := rank[tracking(o.State)] > rank[s.Tracking]", "moved := rank[tracking(o.State)] != rank[s.Tracking]"}},
		Proof: seeds(400),
	},
	{
		Name: "a repeated webhook delivers a parcel again", Lines: []string{"32"}, Kind: "S",
		Rule:  "states only move on",
		Edits: []Edit{{realShippingTrack, "if o.State == ParcelDelivered && s.State == Dispatched {", "if o.State == ParcelDelivered {"}},
		Proof: seeds(200),
	},
	{
		Name: "a webhook is believed without asking the carrier", Lines: []string{"32"}, Kind: "S",
		Rule:  "a webhook is a hint: how the parcel stands is asked",
		Edits: []Edit{{modelProvider, "		stands := p.outcome()\n", "		stands := p.outcome()\n		stands.State = shipping.ParcelDelivered\n"}},
		Proof: seeds(500),
	},
	// 33 and 34: the pivot, and the way back.
	{
		Name: "a payment completes an order that is being cancelled", Lines: []string{"33"}, Kind: "S",
		Rule:  "the order's row decides between complete and cancel",
		Edits: []Edit{{realOrderForward, "		if o.Status != Pending {\n			return nil\n		}\n		o.Status, o.CouponDeadlineAt = Completed, noTime\n", "		if o.Status == Cancelled {\n			return nil\n		}\n		o.Status, o.CouponDeadlineAt = Completed, noTime\n"}},
		Proof: seeds(200),
	},
	{
		Name: "a completed order is cancelled without asking shipping", Lines: []string{"33"}, Kind: "S",
		Rule:  "a cancel that finds the order completed goes through shipping",
		Edits: []Edit{{realOrderCancel, "	case o.Status == Pending:\n		return CancelAtOnce\n", "	case o.Status == Pending, o.Status == Completed:\n		return CancelAtOnce\n"}},
		Proof: seeds(300),
	},
	{
		Name: "stock gives back before payment has", Lines: []string{"33"}, Kind: "S",
		Rule:  "every undo runs last step first",
		Edits: []Edit{{realStockTopology, "from == orderv1.UndoFrom_UNDO_FROM_STOCK ||", "from == orderv1.UndoFrom_UNDO_FROM_STOCK || from == orderv1.UndoFrom_UNDO_FROM_PAYMENT ||"}},
		Proof: seeds(200),
	},
	{
		Name: "a refused refund counts as done", Lines: []string{"34"}, Kind: "S",
		Rule:  "a refund that failed is a person's",
		Edits: []Edit{{realPaymentAnswer, "	if outcome == RefundIsDone {\n", "	if outcome != RefundIsUnknown {\n"}},
		Proof: seeds(300),
	},
	{
		Name: "a refund of unknown outcome is nobody's", Lines: []string{"34"}, Kind: "S",
		Rule:  "a refund is asked for until it is settled",
		Edits: []Edit{{realPaymentAnswer, "	w.Call(flow.Call{Subject: p.OrderID, Kind: CallAskRefund, Body: p.RefundCall()})\n", ""}},
		Proof: seeds(500),
	},
	{
		Name: "a charge that the provider does not know counts as failed", Lines: []string{"34a"}, Kind: "S",
		Rule:  "an unknown key is voided before it counts as failed",
		Edits: []Edit{{realPaymentAnswer, "		return await(w, p, a.Account, m)\n	}\n	p.State = Voiding\n", "		return await(w, p, a.Account, m)\n	case ChargeNotFound:\n		return fail(w, p, FailNotCharged, m)\n	}\n	p.State = Voiding\n"}},
		Proof: seeds(500),
	},
	{
		Name: "a parcel that the carrier does not know counts as not booked", Lines: []string{"34a"}, Kind: "S",
		Rule:  "an unknown key is voided before it counts as failed",
		Edits: []Edit{{realShippingAnswer, "		w.Call(flow.Call{Subject: s.OrderID, Kind: CallVoid, Body: keyCall(s)})\n		return nil\n", "		w.Call(flow.Call{Subject: s.OrderID, Kind: CallVoid, Body: keyCall(s)})\n		w.Withdraw(s.OrderID, CallVoid)\n		return fail(w, s, FailNotBooked, m)\n"}},
		Proof: seeds(500),
	},
	{
		Name: "a worker sends a call past its claim", Lines: []string{"34a"}, Kind: "S",
		Rule:  "no send past the claim",
		Edits: []Edit{{modelWorker, "if w.now-c.claimedAt > callLease-callTimeout {", "if w.now-c.claimedAt > 100*callLease {"}},
		Proof: seeds(200),
	},
	// 35 and 36: deadlines and clocks.
	{
		Name: "a pending order has no deadline", Lines: []string{"35"}, Kind: "S",
		Rule:  "every wait has an end",
		Edits: []Edit{{realOrderOrder, "	case !m.Now.Before(o.DeadlineAt):\n", "	case !m.Now.Before(o.DeadlineAt.Add(1000 * o.DeadlineAt.Sub(o.CreatedAt))):\n"}},
		Proof: seeds(300),
	},
	{
		Name: "nobody looks for deadlines", Lines: []string{"35"}, Kind: "S",
		Rule:  "deadlines are swept",
		Edits: []Edit{{modelLane, "	if len(due) == 0 {\n", "	if len(due) >= 0 {\n"}},
		Proof: seeds(500),
	},
	{
		Name: "decisions go by the clock of the process", Lines: []string{"36"}, Kind: "S",
		Rule:  "deadlines go by the database's clock",
		Edits: []Edit{{modelApply, "	a.now = t.clock\n", "	a.now = t.process.wall()\n"}},
		Proof: seeds(500),
	},
	{
		Name: "a claim's lease goes by the wall clock", Lines: []string{"36"}, Kind: "S",
		Rule:  "leases go by the monotonic clock",
		Edits: []Edit{{modelWorker, "row.claim(w.now, db.skew))", "row.claim(w.now+w.skew, db.skew))"}, {modelWorker, "if w.now-c.claimedAt > callLease-callTimeout {", "if w.now+w.skew-c.claimedAt > callLease-callTimeout {"}},
		Proof: seeds(1500),
	},
}
