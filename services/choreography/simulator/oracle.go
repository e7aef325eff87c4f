package simulator

import (
	"fmt"
	"slices"
	"time"

	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
	"github.com/quadrille-io/quadrille/services/order"
)

// oracle knows what must hold. It looks at every commit, at every record that is published or handled, at
// what the providers do, and at the end; it takes part in nothing.
type oracle struct {
	*sim
	violation *Violation

	orders   map[string]*story
	facts    map[string]*fact // committed, by id
	log      []*fact          // published for the first time, in order
	first    map[string]bool  // published, by id
	sequence map[stream]int   // last one published
	passed   map[record]bool
	handled  map[reading]bool
	progress map[readStream]int
	sent     map[attempt]bool
	// pieces there are of each product, taken ones included.
	pieces map[string]int64
	// forgotten: the inboxes know nothing of what came before.
	forgotten bool
	clicks    map[string]string // by the id of an order to be: what was clicked
	promises  []string

	emitted  map[string]int
	outcomes map[string]int
	calls    map[string]int // by what became of them
	// last is when something was committed.
	last time.Duration
}

// story is what was emitted about an order, by name.
type story struct {
	id      string
	facts   map[string]*fact
	from    orderv1.UndoFrom
	coupons bool
	created time.Time // by order's database, under the lock
	timeout time.Duration
}

type stream struct {
	topic   int
	subject string
}

type record struct {
	service int
	slot    slot
	offset  int
}

type reading struct {
	service int
	fact    string
}

// attempt is one try of a call. The kinds of all services differ.
type attempt struct {
	callKey
	number int
}

type readStream struct {
	service int
	stream
}

func newOracle(s *sim) *oracle {
	return &oracle{
		sim: s, orders: map[string]*story{}, facts: map[string]*fact{}, first: map[string]bool{}, sequence: map[stream]int{},
		passed: map[record]bool{}, handled: map[reading]bool{}, progress: map[readStream]int{}, sent: map[attempt]bool{}, pieces: map[string]int64{},
		clicks: map[string]string{}, emitted: map[string]int{}, outcomes: map[string]int{}, calls: map[string]int{},
	}
}

// violate notes the first rule that does not hold.
func (o *oracle) violate(subject, format string, args ...any) {
	if o.violation == nil {
		o.violation = &Violation{Rule: fmt.Sprintf(format, args...), Subject: subject}
		o.tell("oracle", subject, "VIOLATION: %s", o.violation.Rule)
	}
}

// committed looks at what a transaction has made visible.
func (o *oracle) committed(t *txn) {
	for _, f := range t.facts {
		o.emit(t, f)
	}
	o.conserved(t.db.service)
	o.last = o.now
}

// published looks at a record of the log. Dropping repetitions, a subject's events stand in the order in which
// they were committed, without a gap.
func (o *oracle) published(at slot, f *fact) {
	if o.first[f.id] {
		return
	}
	o.first[f.id] = true
	o.log = append(o.log, f)
	key := stream{f.topic, f.subject}
	if f.seq != o.sequence[key]+1 {
		o.violate(f.subject, "%s is number %d on partition %d, after number %d", f.name, f.seq, at, o.sequence[key])
	}
	o.sequence[key] = f.seq
	if o.facts[f.id] == nil {
		o.violate(f.subject, "%s was published and never committed", f.name)
	}
}

// passing: a record is let through a service's fences once.
func (o *oracle) passing(t *txn, v *service, arrived []*arrival) {
	t.writes = append(t.writes, func() {
		for _, a := range arrived {
			r := record{v.number, a.slot, a.offset}
			if o.passed[r] {
				o.violate(a.fact.subject, "%s passed the fence of %s twice, at partition %d offset %d", a.fact.name, v.name, a.slot, a.offset)
			}
			o.passed[r] = true
		}
	})
}

// handling: an event is decided on once per service, and those of one subject and topic in their order. The
// mailer has no inbox, so it may decide again.
func (o *oracle) handling(t *txn, v *service, f *fact) {
	t.writes = append(t.writes, func() {
		r := reading{v.number, f.id}
		if o.handled[r] {
			if v.number != atMailer && !o.forgotten {
				o.violate(f.subject, "%s was handled twice by %s", f.name, v.name)
			}
			return
		}
		o.handled[r] = true
		key := readStream{v.number, stream{f.topic, f.subject}}
		if f.seq <= o.progress[key] {
			o.violate(f.subject, "%s handled %s, number %d, after number %d", v.name, f.name, f.seq, o.progress[key])
		}
		o.progress[key] = f.seq
	})
}

// parking: only what is sure to fail again is parked.
func (o *oracle) parking(t *txn, a *arrival) {
	v := t.db.service
	if _, poisoned := v.poisoned[a.fact.id]; !poisoned && !v.wasBroken && o.now < o.plan.end {
		t.writes = append(t.writes, func() {
			o.violate(a.fact.subject, "parked in %s without need: %s, %v", v.name, a.fact.name, a.err)
		})
	}
}

// emit looks at one event at the moment it is committed.
func (o *oracle) emit(t *txn, f *fact) {
	o.facts[f.id] = f
	o.emitted[f.name]++
	switch m := f.message.(type) {
	case *stockv1.ProductListed:
		o.pieces[f.subject] += m.GetQuantity()
		return
	case *stockv1.StockRestocked:
		o.pieces[f.subject] += m.GetQuantity()
		if o.emitted[f.name] > o.shop.restocks {
			o.violate(f.subject, "restocked %d times, asked for %d times", o.emitted[f.name], o.shop.restocks)
		}
		return
	case *stockv1.ProductPriceChanged:
		return
	case *stockv1.LowStockReached:
		o.low(f.subject, m)
		return
	case *orderv1.OrderCreated:
		o.created(t, f, m)
		return
	}
	s := o.orders[f.subject]
	if s == nil {
		o.violate(f.subject, "%s of an order that was never created", f.name)
		return
	}
	if rule := s.breaks(f); rule != "" {
		o.violate(f.subject, "%s", rule)
	}
	if o.facts[f.cause] == nil {
		o.violate(f.subject, "%s names a cause that was never emitted: %q", f.name, f.cause)
	}
	s.facts[f.name] = f
	if m, ok := f.message.(*orderv1.OrderCancelled); ok {
		s.from = m.GetUndoFrom()
		early := t.clock.Sub(s.created)
		if m.GetReason() == orderv1.CancelReason_CANCEL_REASON_TIMED_OUT && early < s.timeout {
			o.violate(f.subject, "timed out %v after it was placed", early)
		}
	}
	o.booked(f.subject)
}

// created begins a story.
func (o *oracle) created(t *txn, f *fact, m *orderv1.OrderCreated) {
	if o.orders[f.subject] != nil {
		o.violate(f.subject, "created twice")
		return
	}
	timeout := rules.PendingTimeout
	if m.GetCheckout().GetPaymentType() == orderv1.PaymentType_PAYMENT_TYPE_TRANSFER {
		timeout = rules.TransferTimeout
	}
	o.orders[f.subject] = &story{
		id: f.subject, facts: map[string]*fact{f.name: f}, coupons: len(m.GetCheckout().GetCouponRefs()) > 0, created: t.clock, timeout: timeout,
	}
	o.lookLate(f.subject, timeout+20*time.Second, 0)
	click := o.clicks[f.subject]
	for _, id := range sortedKeys(o.clicks) {
		if other := o.orders[id]; click != "" && id != f.subject && o.clicks[id] == click && other != nil &&
			other.facts["OrderCancelled"] == nil && f.at.Sub(other.facts["OrderCreated"].at).Abs() < rules.DoubleClickWindow {
			o.violate(f.subject, "a double click made a second order beside %s", id)
		}
	}
}

// clicked notes that an order to be is half of a double click.
func (o *oracle) clicked(orderID, click string) { o.clicks[orderID] = click }

// promised notes that a customer was told that there is an order.
func (o *oracle) promised(orderID string) { o.promises = append(o.promises, orderID) }

// lookLate looks whether an order is still pending long after its deadline, with order's processes well and
// its deadlines looked for. Twice in a row is a violation.
func (o *oracle) lookLate(id string, in time.Duration, seenSince time.Duration) {
	o.after(in, func() {
		v := o.services[atOrder]
		row := v.machine.(*unit[order.World]).tables.(*orders).rows[id]
		if row.Status != order.Pending {
			return
		}
		overdue := v.db.clock().Sub(o.orders[id].created) > o.orders[id].timeout+10*time.Second
		well := overdue && !v.db.down && !v.db.subjects[id].parked && v.sweeps()
		switch {
		case well && seenSince > v.wellSince:
			o.violate(id, "still pending %v after its deadline", v.db.clock().Sub(o.orders[id].created)-o.orders[id].timeout)
		case well:
			o.lookLate(id, 30*time.Second, o.now)
		default:
			v.wellSince = max(v.wellSince, o.now)
			o.lookLate(id, 20*time.Second, 0)
		}
	})
}

// sweeps says whether some process looks for deadlines.
func (v *service) sweeps() bool {
	for _, r := range v.replicas {
		if r.alive && r.now >= r.pausedUntil && r.caughtUp() {
			return true
		}
	}
	return false
}

// sending: what is sent was asked for by a transaction that has committed, each attempt is sent once, and nothing
// that another worker has claimed since.
func (o *oracle) sending(c *claimedCall, db *database) {
	row := db.calls[c.callKey]
	if row == nil {
		o.violate(c.subject, "%s was sent, and nobody has asked for it", c.kind)
		return
	}
	try := attempt{c.callKey, c.attempt}
	if o.sent[try] {
		o.violate(c.subject, "%s, attempt %d, was sent twice", c.kind, c.attempt)
	}
	o.sent[try] = true
	if row.attempts != c.attempt && db.skew == c.skew {
		o.violate(c.subject, "%s, attempt %d, was sent after somebody else had claimed attempt %d", c.kind, c.attempt, row.attempts)
	}
}

// charged: an order is charged once at most, and no more is given back than was taken.
func (o *oracle) charged(id string) {
	charges := o.card.captured[id]
	switch {
	case len(charges) > 1:
		o.violate(id, "charged %d times", len(charges))
	case len(charges) == 0 && o.card.returned[id] > 0, len(charges) > 0 && o.card.returned[id] > charges[0].amount:
		o.violate(id, "%d were refunded, more than were charged", o.card.returned[id])
	}
}

// booked: an order has one parcel at most, and one that has left is not cancelled.
func (o *oracle) booked(id string) {
	parcels := o.carrier.all[id]
	if len(parcels) > 1 {
		o.violate(id, "%d parcels were booked", len(parcels))
	}
	s := o.orders[id]
	if len(parcels) > 0 && parcels[0].outcome().State.OnItsWay() && s != nil &&
		(s.facts["OrderCancelled"] != nil || s.facts["PaymentCancelled"] != nil) {
		o.violate(id, "the parcel has left, and the order is cancelled")
	}
}

// bound says what must have been emitted about an order before an event, and what must not.
type bound struct{ after, never []string }

var bounds = map[string]bound{
	"OrderCompleted":        {never: []string{"OrderCancelled"}},
	"OrderCouponWaived":     {never: []string{"OrderCancelled"}},
	"OrderCancelRequested":  {never: []string{"OrderCancelled"}},
	"PaymentCompleted":      {never: []string{"PaymentCancelled", "PaymentFailed"}},
	"PaymentFailed":         {never: []string{"PaymentCancelled", "PaymentCompleted"}},
	"PaymentCancelled":      {after: []string{"OrderCancelled"}},
	"PaymentRefunded":       {after: []string{"PaymentCancelled"}},
	"RefundFailed":          {after: []string{"PaymentCancelled"}, never: []string{"PaymentRefunded"}},
	"CouponUseCancelled":    {after: []string{"OrderCancelled"}},
	"StockIncreased":        {after: []string{"OrderCancelled"}},
	"ShipmentFailed":        {after: []string{"OrderCompleted"}, never: []string{"ShipmentCancelled", "ShipmentDispatched"}},
	"ShipmentCancelled":     {after: []string{"OrderCancelRequested"}, never: []string{"ShipmentFailed", "ShipmentDispatched"}},
	"ShipmentDispatched":    {after: []string{"ShipmentPrepared"}, never: []string{"ShipmentCancelled", "ShipmentFailed"}},
	"ShipmentDelivered":     {after: []string{"ShipmentDispatched"}},
	"ShipmentCancelRefused": {after: []string{"ShipmentDispatched", "OrderCancelRequested"}},
}

// breaks says which rule of the choreography an event breaks.
func (s *story) breaks(f *fact) string {
	if s.facts[f.name] != nil {
		return "emitted twice: " + f.name
	}
	for _, name := range bounds[f.name].after {
		if s.facts[name] == nil {
			return f.name + " without " + name + " before it"
		}
	}
	for _, name := range bounds[f.name].never {
		if s.facts[name] != nil {
			return f.name + " after " + name
		}
	}
	fromPayment, fromCoupon := s.from == orderv1.UndoFrom_UNDO_FROM_PAYMENT, s.from == orderv1.UndoFrom_UNDO_FROM_COUPON
	undoing := f.name == "CouponUseCancelled" || f.name == "StockIncreased"
	switch {
	case undoing && fromPayment && s.facts["PaymentCancelled"] == nil:
		return "undone out of order: " + f.name + " before PaymentCancelled"
	case f.name == "StockIncreased" && s.coupons && (fromPayment || fromCoupon) && s.facts["CouponUseCancelled"] == nil:
		return "undone out of order: StockIncreased before CouponUseCancelled"
	case f.name == "PaymentCancelled" && !fromPayment:
		return "PaymentCancelled, and the undo does not begin there"
	}
	return ""
}

// consumers lists the services whose business an event is.
func (s *sim) consumers(f *fact) []*service {
	return slices.DeleteFunc(slices.Clone(s.services[:]), func(v *service) bool { return !v.machine.consumes(f.full) || !v.machine.concerns(f.message) })
}
