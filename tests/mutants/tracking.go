package mutants

// Files that several of the mutants of tracking edit.
const (
	shippingHTTP   = "services/shipping/service/http.go"
	shippingFollow = "services/shipping/service/follow.go"
	shippingWatch  = "services/shipping/internal/store/watch.go"
	callbackURLs   = "services/shipping/carrier/tracker/callback.go"
	trackerStatus  = "services/shipping/carrier/tracker/status.go"
)

// trackingMutants take out the rules by which parcels are followed on their way.
var trackingMutants = []Mutant{
	{
		Name: "a parcel's tracking is whatever was said last", Lines: []string{"32"}, Kind: "P",
		Rule:  "tracking only moves on, whatever the order of webhooks",
		Edits: []Edit{{shippingTrack, "moved := rank[tracking(o.State)] > rank[s.Tracking]", "moved := tracking(o.State) != s.Tracking"}},
		Proof: property("./services/shipping", "TestWebhooksInAnyOrder"),
	},
	{
		Name: "a fact that is told again is another line of the history", Lines: []string{"32"}, Kind: "I",
		Rule:  "the same fact of the same source is the same line",
		Edits: []Edit{{"services/shipping/internal/store/migrations/00003_tracking.sql", "PRIMARY KEY (order_id, at, status, source)", "PRIMARY KEY (order_id, at, status, source, noted_at)"}},
		Proof: test("./services/shipping/internal/store", "TestHistory"),
	},
	{
		Name: "a carrier is not asked when its webhooks stay away", Lines: []string{"32"}, Kind: "I",
		Rule:  "a lost webhook delays, it never loses",
		Edits: []Edit{{"services/shipping/service/service.go", "		Components: []run.Component{following.component()},\n", "		Components: []run.Component{{Name: following.component().Name}},\n"}},
		Proof: test("./services/shipping/service", "TestLostWebhooks"),
	},
	{
		Name: "replicas ask about the same parcels", Lines: []string{"32"}, Kind: "I",
		Rule:  "a parcel's turn is claimed under its row's lock",
		Edits: []Edit{{shippingWatch, "ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)", "ORDER BY due_at LIMIT $1)"}},
		Proof: test("./services/shipping/internal/store", "TestParcelsAreShared"),
	},
	{
		Name: "a carrier that is away is asked about every parcel all the same", Lines: []string{"32"}, Kind: "I",
		Rule:  "what could not be asked is given back, and asked soon",
		Edits: []Edit{{shippingFollow, "		t.postponed = append(t.postponed, p.OrderID)\n	}\n}", "	}\n}"}, {shippingFollow, "min(f.least, postponed)", "postponed"}},
		Proof: test("./services/shipping/service", "TestCarrierIsAwayForAWhile"),
	},
	{
		Name: "hints have a carrier asked without a pause", Lines: []string{"44"}, Kind: "X",
		Rule:  "a callback that is sent again and again has nobody asked more often",
		Edits: []Edit{{shippingWatch, "greatest(clock_timestamp(), coalesce(asked_at + $2::interval, '-infinity'))", "clock_timestamp() + 0 * $2::interval"}},
		Proof: test("./services/shipping/internal/store", "TestHint"),
	},
	{
		Name: "a callback's URL is good for ever", Lines: []string{"44"}, Kind: "X",
		Rule:  "a URL that was registered for a parcel has an end",
		Edits: []Edit{{callbackURLs, "left < -tolerance || left > WatchFor+tolerance", "left > WatchFor+tolerance"}},
		Proof: test("./services/shipping/carrier/tracker", "TestCallbacks"),
	},
	{
		Name: "a callback's URL is good for every parcel", Lines: []string{"44"}, Kind: "X",
		Rule: "the signature is over the ids that the body carries",
		Edits: []Edit{
			{callbackURLs, "sign(c.secrets[0], expires, p.OrderID, c.carrierID, p.TrackingNumber)", "sign(c.secrets[0], expires, p.OrderID, c.carrierID)"},
			{callbackURLs, "sign(secret, expires, query.Get(paramOrder), ids.CarrierID, ids.TrackingNumber)", "sign(secret, expires, query.Get(paramOrder), ids.CarrierID)"},
		},
		Proof: test("./services/shipping/carrier/tracker", "TestCallbacks"),
	},
	{
		Name: "an order to fetch a parcel that was withdrawn dispatches it", Lines: []string{"33"}, Kind: "X",
		Rule:  "an exception counts for a parcel that has been seen on its way",
		Edits: []Edit{{trackerStatus, "	if !left {", "	if last != nil && last.Status.Code == codeException {\n		left = true\n	}\n	if !left {"}},
		Proof: test("./services/shipping/carrier/tracker", "TestStatuses"),
	},
	{
		Name: "shipments are shown to everybody as to operators", Lines: []string{"40"}, Kind: "X",
		Rule:  "the owner, or an operator",
		Edits: []Edit{{shippingHTTP, "if caller.Is(web.RoleOperator) {", "if len(caller.Roles) > 0 {"}},
		Proof: test("./services/shipping/service", "TestRefusals"),
	},
	{
		Name: "parcels are booked for addresses that are none", Lines: []string{"33"}, Kind: "I",
		Rule:  "an address is checked before a carrier is asked",
		Edits: []Edit{{"services/shipping/service/caller.go", "problem := address.Problem()", "problem := address.Problem()[:0]"}},
		Proof: test("./services/shipping/service", "TestBookings"),
	},
}
