package mutants

import "time"

// Files that several of the attacks' mutants edit.
const (
	stockTables    = "services/stock/internal/store/migrations/00001_stock.sql"
	couponTables   = "services/coupon/internal/store/migrations/00001_coupon.sql"
	paymentTables  = "services/payment/internal/store/migrations/00001_payment.sql"
	commands       = "pkg/engine/command.go"
	shippingAnswer = "services/shipping/answer.go"
	shippingTrack  = "services/shipping/track.go"
	orderCancel    = "services/order/cancel.go"
	couponIssue    = "services/coupon/issue.go"
)

// race is the proof by the attacks whose names begin with sub.
func race(sub string) Proof {
	p := part("./tests/races", "TestRaces", sub)
	p.Timeout = 5 * time.Minute
	return p
}

// knock is the proof by that part of the access tests.
func knock(sub string) Proof {
	p := part("./tests/races", "TestAccess", sub)
	p.Timeout = 5 * time.Minute
	return p
}

// raceMutants take out the rules that attacks in parallel prove (tests/races).
var raceMutants = []Mutant{
	{
		Name: "stock reads products without locking them", Lines: []string{"26", "49"}, Kind: "X",
		Rule:  "what a decision sees of a product is so until COMMIT",
		Edits: []Edit{{"services/stock/internal/store/product.go", "ORDER BY product_id FOR NO KEY UPDATE`", "ORDER BY product_id`"}},
		Proof: race("oversell"),
	},
	{
		Name: "stock sells what is not there", Lines: []string{"26"}, Kind: "X",
		Rule: "an order gets what there is enough of, and the table says so too",
		Edits: []Edit{
			{"services/stock/stock.go", "x.quantity <= product.Quantity && x.quantity <= math.MaxInt32", "x.quantity <= math.MaxInt32"},
			{stockTables, "    CONSTRAINT stock_never_negative CHECK (quantity >= 0),\n", ""},
		},
		Proof: race("oversell one"),
	},
	{
		Name: "an order takes the lines that there are enough pieces for", Lines: []string{"26"}, Kind: "X",
		Rule:  "all lines of an order or none",
		Edits: []Edit{{"services/stock/stock.go", "short := shortages(w, wanted, by); len(short) > 0 {", "short := shortages(w, wanted, by); len(short) == len(wanted) {"}, {stockTables, "    CONSTRAINT stock_never_negative CHECK (quantity >= 0),\n", ""}},
		Proof: race("oversell in several"),
	},
	{
		Name: "a coupon is neither locked nor unique among those spent", Lines: []string{"27", "49"}, Kind: "X",
		Rule: "who spends a coupon holds its row, and the table has one order for it",
		Edits: []Edit{
			{"services/coupon/internal/store/store.go", "ORDER BY coupon_id FOR NO KEY UPDATE`", "ORDER BY coupon_id`"},
			{couponTables, "coupon_id text COLLATE \"C\" CONSTRAINT coupon_used_once PRIMARY KEY,", "coupon_id text COLLATE \"C\","},
		},
		Proof: race("many spend"),
	},
	{
		Name: "a coupon that is spent is taken again", Lines: []string{"27"}, Kind: "X",
		Rule: "a coupon counts for one order",
		Edits: []Edit{
			{"services/coupon/discount.go", "case c.UsedBy != \"\":", "case c.UsedBy != \"\" && c.UsedBy == c.UserID:"},
			{couponTables, "coupon_id text COLLATE \"C\" CONSTRAINT coupon_used_once PRIMARY KEY,", "coupon_id text COLLATE \"C\","},
		},
		Proof: race("one coupon"),
	},
	{
		Name: "two references to one coupon are two coupons", Lines: []string{"27"}, Kind: "X",
		Rule: "a coupon counts once within an order",
		Edits: []Edit{
			{"services/coupon/discount.go", "if taken[c.CouponID] {", "if taken[ref] {"},
			{"services/coupon/discount.go", "taken[c.CouponID] = true", "taken[ref] = true"},
		},
		Proof: race("one coupon"),
	},
	{
		Name: "a policy issues more coupons than it has", Lines: []string{"27", "49"}, Kind: "I",
		Rule: "the policy's row counts what was issued, under its lock",
		Edits: []Edit{
			{"services/coupon/internal/store/store.go", "sql += ` FOR NO KEY UPDATE`", "sql += ``"},
		},
		Proof: test("./services/coupon/internal/store", "TestWaitingMemberFindsPolicyAtItsLimit"),
	},
	{
		Name: "a member gets a second coupon of a policy", Lines: []string{"27"}, Kind: "X",
		Rule: "once per member, by the decision and by the table",
		Edits: []Edit{
			{couponIssue, "held := w.Held.Get(HeldKey(c.PolicyID, c.UserID)); held {", "held := w.Held.Get(HeldKey(c.PolicyID, c.UserID)); held && c.CouponID == id {"},
			{couponTables, "issued_at timestamptz      NOT NULL,\n    CONSTRAINT coupon_once_per_member UNIQUE (policy_id, user_id)\n", "issued_at timestamptz      NOT NULL\n"},
		},
		Proof: race("coupon once"),
	},
	{
		Name: "balances are read without being locked", Lines: []string{"27", "49"}, Kind: "X",
		Rule:  "who spends points holds the balance",
		Edits: []Edit{{"services/payment/internal/store/store.go", "ORDER BY user_id FOR NO KEY UPDATE`", "ORDER BY user_id`"}},
		Proof: race("many spend"),
	},
	{
		Name: "points are spent that a member has not got", Lines: []string{"27"}, Kind: "X",
		Rule: "a balance is never negative, by the decision and by the table",
		Edits: []Edit{
			{"services/payment/points.go", "if account.Balance < p.Points || p.Points < 0 {", "if p.Points < 0 {"},
			{paymentTables, "balance bigint NOT NULL,\n    CONSTRAINT points_never_negative CHECK (balance >= 0)\n", "balance bigint NOT NULL\n"},
		},
		Proof: race("points spent"),
	},
	{
		Name: "two replicas decide the same key", Lines: []string{"28", "49"}, Kind: "X",
		Rule:  "a batch whose key was used meanwhile is run again and finds the first answer",
		Edits: []Edit{{commands, "		ORDER BY n`, members", "		ORDER BY n ON CONFLICT DO NOTHING`, members"}},
		Proof: race("one key, one body"),
	},
	{
		Name: "a key answers whatever the body says", Lines: []string{"28"}, Kind: "X",
		Rule: "the same key with another body is refused",
		Edits: []Edit{
			{commands, "if !bytes.Equal(s.hash, w.request.BodyHash) {", "if !bytes.HasPrefix(s.hash, nil) {"},
			{commands, "case bytes.Equal(leader.request.BodyHash, w.request.BodyHash):", "case bytes.HasPrefix(leader.request.BodyHash, nil):"},
		},
		Proof: race("one key, many bodies"),
	},
	{
		Name: "idempotency keys are everybody's", Lines: []string{"28", "40"}, Kind: "X",
		Rule:  "a key is the member's own",
		Edits: []Edit{{"pkg/host/http.go", "engine.Request{Member: web.Caller(c).Subject, Key:", "engine.Request{Member: \"everybody\", Key:"}},
		Proof: race("one key, many members"),
	},
	{
		Name: "a double click is two orders", Lines: []string{"28"}, Kind: "X",
		Rule:  "an identical order without a key is the first one for a while",
		Edits: []Edit{{"services/order/place.go", "if o, again := doubleClick(w, c, m); again {", "if o, again := doubleClick(w, c, m); again && o.OrderID == c.OrderID {"}},
		Proof: race("double click"),
	},
	{
		Name: "a lost answer is taken up although a webhook was first", Lines: []string{"31"}, Kind: "X",
		Rule: "one transition: what the webhook has answered is withdrawn, and its answer finds the state moved on",
		Edits: []Edit{
			{shippingTrack, "		withdraw(w, s)\n", ""},
			{shippingAnswer, "if s.State != Booking {", "if s.State == Failed {"},
			{shippingAnswer, "if s.State != Asking {", "if s.State == Failed {"},
		},
		Proof: race("webhook against"),
	},
	{
		Name: "every webhook of a delivered parcel delivers it", Lines: []string{"32"}, Kind: "X",
		Rule:  "tracking only moves on",
		Edits: []Edit{{shippingTrack, "if o.State == ParcelDelivered && s.State == Dispatched {", "if o.State == ParcelDelivered {"}},
		Proof: race("webhooks in disorder"),
	},
	{
		Name: "a webhook is believed", Lines: []string{"32"}, Kind: "X",
		Rule:  "a webhook is a hint: how the parcel stands is asked",
		Edits: []Edit{{"services/shipping/service/http.go", "State: shipping.Parcel(stands.State), Carrier:", "State: shipping.Parcel(event.State), Carrier:"}},
		Proof: race("webhook many"),
	},
	{
		Name: "a cancelled order is completed", Lines: []string{"33"}, Kind: "X",
		Rule: "the order row decides between cancel and complete",
		Edits: []Edit{{
			"services/order/forward.go", "			return nil\n		}\n		o.Status, o.CouponDeadlineAt = Completed, noTime",
			"			o.Reason = \"\"\n		}\n		o.Status, o.CouponDeadlineAt = Completed, noTime",
		}},
		Proof: race("cancel against complete"),
	},
	{
		Name: "a completed order is cancelled without asking for its parcel", Lines: []string{"33"}, Kind: "X",
		Rule:  "a completed order is shipping's to let go",
		Edits: []Edit{{orderCancel, "case o.Status == Pending:\n		return CancelAtOnce", "case o.Status == Pending, o.Status == Completed:\n		return CancelAtOnce"}},
		Proof: race("cancel against complete"),
	},
	{
		Name: "every cancel asks shipping again", Lines: []string{"49"}, Kind: "X",
		Rule:  "a request to cancel is made once",
		Edits: []Edit{{orderCancel, "case o.CancelRequest == CancelRequested:", "case o.CancelRequest == CancelRequested && o.CancelNote == \"\":"}},
		Proof: race("cancel many"),
	},
	{
		Name: "subjects are read without being locked", Lines: []string{"49", "33"}, Kind: "X",
		Rule:  "everything about an order takes its turn, whichever lane or replica it comes by",
		Edits: []Edit{{"pkg/engine/subject.go", "pg_current_xact_id()::xid ORDER BY id FOR NO KEY UPDATE`, ids).", "pg_current_xact_id()::xid ORDER BY id`, ids)."}},
		Proof: race("cancel against complete"),
	},
	{
		Name: "order takes a price change of the same moment for seen", Lines: []string{"49"}, Kind: "X",
		Rule: "the order of events counts, not their times",
		Edits: []Edit{{
			"services/order/price.go", "	previous := price.PreviousPrice\n",
			"	if known && !e.GetChangedAt().AsTime().After(price.ChangedAt) {\n		return nil\n	}\n	previous := price.PreviousPrice\n",
		}},
		Proof: race("price change"),
	},
	{
		Name: "an order is shown to whoever knows its id", Lines: []string{"40"}, Kind: "X",
		Rule:  "the owner is part of the query",
		Edits: []Edit{{"services/order/internal/store/read.go", "WHERE order_id = $1 AND (user_id = $2 OR $2 = '')`", "WHERE order_id = $1 AND $2::text IS NOT NULL`"}},
		Proof: knock("matrix"),
	},
	{
		Name: "a list of orders is everybody's", Lines: []string{"40"}, Kind: "X",
		Rule:  "a member's list is the member's",
		Edits: []Edit{{"services/order/internal/store/read.go", "if f.UserID != \"\" {", "if f.UserID == \"nobody\" {"}},
		Proof: knock("matrix"),
	},
	{
		Name: "an order is cancelled by whoever knows its id", Lines: []string{"40"}, Kind: "X",
		Rule:  "the owner's or an operator's",
		Edits: []Edit{{orderCancel, "case !exists, o.UserID != userID && !operator:", "case !exists:"}},
		Proof: knock("matrix"),
	},
	{
		Name: "a parcel is shown to whoever knows the order's id", Lines: []string{"40"}, Kind: "X",
		Rule:  "the owner is part of the query",
		Edits: []Edit{{"services/shipping/internal/store/read.go", "WHERE order_id = $1 AND user_id = $2`", "WHERE order_id = $1 AND $2::text IS NOT NULL`"}},
		Proof: knock("matrix"),
	},
	{
		Name: "stock relies on the gateway for who is an operator", Lines: []string{"40"}, Kind: "X",
		Rule:  "each service checks the token and the role itself",
		Edits: []Edit{{"services/stock/service/http.go", "e.Group(\"/ops/v1/products\", web.Auth(h.Verifier), web.RequireRole(web.RoleOperator))", "e.Group(\"/ops/v1/products\")"}},
		Proof: knock("matrix"),
	},
	{
		Name: "the gateway's own pages for operators are every member's", Lines: []string{"40"}, Kind: "X",
		Rule:  "role operator",
		Edits: []Edit{{"services/gateway/service/http.go", "operator: {web.Auth(h.Verifier), web.RequireRole(web.RoleOperator), s.audited},", "operator: {web.Auth(h.Verifier), s.audited},"}},
		Proof: knock("matrix"),
	},
	{
		Name: "somebody else's coupon is spent by its id", Lines: []string{"40", "27"}, Kind: "X",
		Rule:  "a coupon is its member's",
		Edits: []Edit{{"services/coupon/discount.go", "return c, known && c.UserID == userID", "return c, known"}},
		Proof: knock("in another"),
	},
	{
		Name: "a body names whose order it is", Lines: []string{"40", "41"}, Kind: "X",
		Rule:  "the member is the token's subject",
		Edits: []Edit{{"services/order/service/request.go", "if r.UserID != nil && *r.UserID != userID {", "if r.UserID != nil && *r.UserID == \"\" {"}},
		Proof: knock("in another"),
	},
	{
		Name: "unknown fields are ignored", Lines: []string{"41"}, Kind: "X",
		Rule:  "what is not on an action's list is refused by its pointer",
		Edits: []Edit{{"pkg/web/walker.go", "if closed && !known {", "if closed && !known && name == \"\" {"}},
		Proof: knock("mass"),
	},
	{
		Name: "fields are known in any case", Lines: []string{"41"}, Kind: "X",
		Rule: "a name is itself, not what encoding/json makes of it",
		Edits: []Edit{{
			"pkg/web/walker.go", "		if strings.EqualFold(field, name) {\n			w.fault(pointer, fault.CodeUnknownField, \"This field is not known here; it is spelled \"+field+\".\")\n			return",
			"		if strings.EqualFold(field, name) {\n			return",
		}},
		Proof: knock("mass"),
	},
	{
		Name: "a member may send as much as he likes", Lines: []string{"45"}, Kind: "X",
		Rule:  "a bucket per member",
		Edits: []Edit{{"pkg/web/limit.go", "if l == nil || l.member == nil {", "if l == nil || subject != \"\" {"}},
		Proof: Proof{Package: "./tests/races", Run: "^TestHoarding$", Timeout: 5 * time.Minute},
	},
	{
		Name: "an order may have any number of pieces", Lines: []string{"45"}, Kind: "X",
		Rule:  "all lines together are limited",
		Edits: []Edit{{"services/order/check.go", "if c.Rules.MaxQuantity > 0 && pieces > c.Rules.MaxQuantity {", "if c.Rules.MaxQuantity > 0 && int64(len(c.Items)) > c.Rules.MaxQuantity {"}},
		Proof: Proof{Package: "./tests/races", Run: "^TestHoarding$", Timeout: 5 * time.Minute},
	},
}
