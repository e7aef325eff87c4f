package mutants

import "time"

// Files that several of these mutants edit.
const (
	tokens   = "pkg/web/auth.go"
	edges    = "pkg/web/edge.go"
	edgeSets = "pkg/web/config.go"
	webhooks = "services/shipping/carrier/simulator/webhook.go"
)

// forgery is the proof by a corpus that is sent to the running system.
func forgery(run string) Proof {
	p := test("./tests/races/corpus", run)
	p.Timeout = 5 * time.Minute
	return p
}

// attackMutants take out the rules that forged and oversized requests prove.
var attackMutants = []Mutant{
	{
		Name: "any algorithm that fits the key is good", Lines: []string{"42"}, Kind: "X",
		Rule:  "an allow-list of algorithms",
		Edits: []Edit{{tokens, "			jwt.WithValidMethods(cfg.Algorithms),\n", ""}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "a token for another audience is good", Lines: []string{"42"}, Kind: "X",
		Rule:  "an allow-list of audiences",
		Edits: []Edit{{tokens, "if err != nil || !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(v.cfg.Audiences, a) }) {", "if err != nil || len(audience) == 0 {"}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "a token of any issuer is good", Lines: []string{"42"}, Kind: "X",
		Rule:  "an allow-list of issuers",
		Edits: []Edit{{tokens, "if err != nil || !slices.Contains(v.cfg.Issuers, issuer) {", "if err != nil || issuer == \"\" {"}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "a token without an end is good for ever", Lines: []string{"42"}, Kind: "X",
		Rule:  "a token says when it expires",
		Edits: []Edit{{tokens, "			jwt.WithExpirationRequired(),\n", ""}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "an expired token is good for a day more", Lines: []string{"42"}, Kind: "X",
		Rule:  "only so much is forgiven as clocks differ",
		Edits: []Edit{{tokens, "jwt.WithLeeway(cfg.Leeway)", "jwt.WithLeeway(24*time.Hour)"}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "a token from the future is good", Lines: []string{"42"}, Kind: "X",
		Rule:  "a token was issued before it is shown",
		Edits: []Edit{{tokens, "			jwt.WithIssuedAt(),\n", ""}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "what a token marks as critical is passed over", Lines: []string{"42"}, Kind: "X",
		Rule:  "critical headers are understood or refused",
		Edits: []Edit{{tokens, `parsed.Header["crit"]; has {`, `parsed.Header["crit"]; has && v == nil {`}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "of a name that stands twice in a token the last one counts", Lines: []string{"42"}, Kind: "X",
		Rule:  "a token can be understood in one way only",
		Edits: []Edit{{tokens, "		if len(w.faults) > 0 {\n			return fmt.Errorf(", "		if len(w.faults) > 0 && v == nil {\n			return fmt.Errorf("}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "a token can be written in several ways", Lines: []string{"42"}, Kind: "X",
		Rule:  "strict base64url",
		Edits: []Edit{{tokens, "			jwt.WithStrictDecoding(),\n", ""}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "a token without a subject is somebody's", Lines: []string{"42"}, Kind: "X",
		Rule:  "a subject that can be a member's id",
		Edits: []Edit{{tokens, `if err != nil || subject == "" || len(subject) > 255`, `if err != nil || len(subject) > 255`}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "of two Authorization headers the first counts", Lines: []string{"42"}, Kind: "X",
		Rule:  "one answer to who is calling",
		Edits: []Edit{{tokens, "if len(headers) != 1 {", "if len(headers) == 0 {"}},
		Proof: forgery("TestTokens"),
	},
	{
		Name: "anybody may say which address he has", Lines: []string{"43"}, Kind: "X",
		Rule:  "without trusted proxies the connection's address counts",
		Edits: []Edit{{edgeSets, "return echo.ExtractIPDirect()", "return echo.ExtractIPFromXFFHeader()"}},
		Proof: forgery("TestAddresses"),
	},
	{
		Name: "X-Real-IP is believed", Lines: []string{"43"}, Kind: "X",
		Rule:  "one header is read, and only from a proxy",
		Edits: []Edit{{edgeSets, "return echo.ExtractIPDirect()", "return echo.ExtractIPFromRealIPHeader()"}},
		Proof: forgery("TestAddresses"),
	},
	{
		Name: "every private address is a proxy", Lines: []string{"43"}, Kind: "X",
		Rule:  "trusted is who is named",
		Edits: []Edit{{edgeSets, "echo.TrustPrivateNet(false)", "echo.TrustPrivateNet(true)"}},
		Proof: forgery("TestAddresses"),
	},
	{
		Name: "every address of an IPv6 network has an allowance", Lines: []string{"43", "45"}, Kind: "X",
		Rule:  "a /64 is one caller",
		Edits: []Edit{{"pkg/web/limit.go", "addr.Prefix(64)", "addr.Prefix(128)"}},
		Proof: forgery("TestAddresses"),
	},
	{
		Name: "a webhook's signature is not looked at", Lines: []string{"44"}, Kind: "X",
		Rule:  "HMAC over the raw body",
		Edits: []Edit{{webhooks, "if !c.signed(timestamp, signature, body) {", "if !c.signed(timestamp, signature, body) && c == nil {"}},
		Proof: forgery("TestWebhooks"),
	},
	{
		Name: "a webhook's timestamp is not signed", Lines: []string{"44"}, Kind: "X",
		Rule: "the timestamp is inside the signature",
		Edits: []Edit{{
			webhooks, "			if hmac.Equal(got, mac.Sum(nil)) {",
			"			plain := hmac.New(sha256.New, secret)\n			plain.Write(body)\n			if hmac.Equal(got, mac.Sum(nil)) || hmac.Equal(got, plain.Sum(nil)) {",
		}},
		Proof: forgery("TestWebhooks"),
	},
	{
		Name: "the beginning of a signature is enough", Lines: []string{"44"}, Kind: "X",
		Rule:  "all of the signature is compared",
		Edits: []Edit{{webhooks, "if hmac.Equal(got, mac.Sum(nil)) {", "if hmac.Equal(got, mac.Sum(nil)[:min(len(got), 32)]) {"}},
		Proof: forgery("TestWebhooks"),
	},
	{
		Name: "an old webhook is believed", Lines: []string{"44"}, Kind: "X",
		Rule:  "300 s back",
		Edits: []Edit{{webhooks, "age > tolerance || age < -tolerance", "age < -tolerance"}},
		Proof: forgery("TestWebhooks"),
	},
	{
		Name: "a webhook from the future is believed", Lines: []string{"44"}, Kind: "X",
		Rule:  "300 s ahead",
		Edits: []Edit{{webhooks, "age > tolerance || age < -tolerance", "age > tolerance"}},
		Proof: forgery("TestWebhooks"),
	},
	{
		Name: "of two timestamps of a webhook the first counts", Lines: []string{"44"}, Kind: "X",
		Rule:  "each header once",
		Edits: []Edit{{webhooks, "len(values) == 1 {", "len(values) >= 1 {"}},
		Proof: forgery("TestWebhooks"),
	},
	{
		Name: "a webhook that comes again is another one", Lines: []string{"44"}, Kind: "X",
		Rule:  "the id of a webhook is its command's key",
		Edits: []Edit{{"services/shipping/service/http.go", `Key: event.ID,`, `Key: event.ID + time.Now().String(),`}},
		Proof: forgery("TestWebhooks"),
	},
	{
		Name: "a body may be as large as it likes", Lines: []string{"45"}, Kind: "X",
		Rule: "64 KiB, by what is said and by what comes",
		Edits: []Edit{
			{edges, "if r.ContentLength > limit {", "if limit < 0 {"},
			{edges, "r.Body = http.MaxBytesReader(c.Response(), r.Body, limit)", "r.Body = http.MaxBytesReader(c.Response(), r.Body, limit<<10)"},
		},
		Proof: forgery("TestWebhooks"),
	},
	{
		Name: "a client may say its request as slowly as it likes", Lines: []string{"45"}, Kind: "X",
		Rule: "time limits for head and body",
		Edits: []Edit{
			{edges, "		ReadHeaderTimeout: cfg.ReadHeaderTimeout,\n", ""},
			{edges, "		ReadTimeout:       cfg.ReadTimeout,\n", ""},
		},
		Proof: forgery("TestSlow"),
	},
	{
		Name: "a member may ask as often as he likes", Lines: []string{"45"}, Kind: "X",
		Rule:  "a limit per member",
		Edits: []Edit{{tokens, "if err := limitMember(c, identity.Subject); err != nil {", "if err := limitMember(c, identity.Subject); err != nil && token == \"\" {"}},
		Proof: forgery("TestHoarding"),
	},
	{
		Name: "each token has an allowance of its own", Lines: []string{"45"}, Kind: "X",
		Rule:  "the limit is the member's and not the token's",
		Edits: []Edit{{tokens, "limitMember(c, identity.Subject)", "limitMember(c, token)"}},
		Proof: forgery("TestHoarding"),
	},
	{
		Name: "an address may ask as often as it likes", Lines: []string{"45"}, Kind: "X",
		Rule:  "a limit per address",
		Edits: []Edit{{edges, "		newLimits(cfg).middleware,\n", "		newLimits(Config{MemberRate: cfg.MemberRate, MemberBurst: cfg.MemberBurst, LimitEntries: cfg.LimitEntries}).middleware,\n"}},
		Proof: forgery("TestAddresses"),
	},
	{
		Name: "an id that is no text reaches the database", Lines: []string{"45"}, Kind: "X",
		Rule:  "what cannot be stored is refused at the edge",
		Edits: []Edit{{"pkg/web/request.go", "return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)", "return utf8.RuneCountInString(s) <= most || unicode.IsControl(utf8.RuneError)"}},
		Proof: forgery("TestStrange"),
	},
	{
		Name: "the log says to whom a mail could not be sent", Lines: []string{"47"}, Kind: "X",
		Rule:  "no personal data in logs",
		Edits: []Edit{{"services/mailer/service/courier.go", `c.log.Warn("mail refused for good", "order"`, `c.log.Warn("mail refused for good", "to", messages[i].To, "order"`}},
		Proof: forgery("TestCanary"),
	},
	{
		Name: "the log has the address with its query", Lines: []string{"47"}, Kind: "X",
		Rule:  "the log names the route",
		Edits: []Edit{{"pkg/web/observe.go", `slog.String("route", route), slog.Int`, `slog.String("route", r.URL.String()), slog.Int`}},
		Proof: forgery("TestCanary"),
	},
	{
		Name: "an operator's reason is logged", Lines: []string{"47"}, Kind: "X",
		Rule:  "free text stays in the audit",
		Edits: []Edit{{"pkg/host/http.go", `"requestId", web.RequestID(c), "subjects"`, `"reason", req.Reason, "subjects"`}},
		Proof: forgery("TestCanary"),
	},
	{
		Name: "an event says where the parcel goes", Lines: []string{"47"}, Kind: "X",
		Rule: "personal data travels in member.v1 only",
		Edits: []Edit{{
			"services/shipping/service/caller.go", "		return shipping.Booked{OrderID: body.OrderID, Outcome: c.outcome(made)}, nil",
			"		made.TrackingNumber += \" to \" + address.Line1\n		return shipping.Booked{OrderID: body.OrderID, Outcome: c.outcome(made)}, nil",
		}},
		Proof: forgery("TestCanary"),
	},
}
