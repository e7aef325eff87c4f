package corpus_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// decoders are the functions that read what strangers, providers, neighbours or people wrote, by a text of theirs, and
// the fuzz target that says what must hold whatever they read. A text that is found nowhere has moved: so must its line.
var decoders = []struct{ file, text, target string }{
	{"pkg/kafka/envelope.go", "func ParseEnvelope(", "pkg/kafka FuzzParseEnvelope"},
	{"pkg/engine/arrival.go", "func decodeMessage(", "pkg/engine FuzzArrival"},
	{"pkg/web/decode.go", "func decode(", "pkg/web FuzzUnderstood"},
	{"pkg/web/decode.go", "func Decode(", "pkg/web FuzzDecode"},
	{"pkg/web/auth.go", ") Verify(", "pkg/web FuzzVerify"},
	{"pkg/web/auth.go", "func parseKeys(", "pkg/web FuzzKeys"},
	{"pkg/web/query.go", "func PageOf(", "pkg/web FuzzParameters"},
	{"pkg/web/query.go", "func PreferWait(", "pkg/web FuzzParameters"},
	{"pkg/web/stream.go", "func LastEventID(", "pkg/web FuzzParameters"},
	{"pkg/web/request.go", "func IdempotencyKey(", "pkg/web FuzzParameters"},
	{"pkg/web/config.go", "func extractor(", "pkg/web FuzzAddress"},
	{"pkg/run/config.go", "func LoadFrom(", "pkg/run FuzzLoad"},
	{"services/order/service/request.go", "type placeRequest ", "services/order/service FuzzPlace"},
	{"services/order/service/request.go", "type checkoutRequest ", "services/order/service FuzzCheckout"},
	{"services/order/service/cart_http.go", "type quantityRequest ", "services/order/service FuzzCheckout"},
	{"services/order/service/request.go", "func isOrderID(", "services/order/service FuzzOrderID"},
	{"services/stock/service/request.go", "type listRequest ", "services/stock/service FuzzProduct"},
	{"services/stock/service/request.go", "type restockRequest ", "services/stock/service FuzzProduct"},
	{"services/stock/service/request.go", "type changeRequest ", "services/stock/service FuzzProduct"},
	{"services/stock/service/request.go", "type saleRequest ", "services/stock/service FuzzSale"},
	{"services/stock/service/request.go", "func identifier(", "services/stock/service FuzzProductID"},
	{"services/coupon/service/request.go", "type policyRequest ", "services/coupon/service FuzzPolicy"},
	{"services/coupon/service/request.go", "type quoteRequest ", "services/coupon/service FuzzQuote"},
	{"services/payment/service/http.go", "type grantRequest ", "services/payment/service FuzzGrant"},
	{"services/payment/service/http.go", "type reconcileRequest ", "services/payment/service FuzzReconcile"},
	{"services/payment/provider/simulator/webhook.go", ") VerifyWebhook(", "services/payment/provider/simulator FuzzWebhook"},
	{"services/payment/provider/simulator/simulator.go", ") do(", "services/payment/provider/simulator FuzzAnswer"},
	{"services/shipping/carrier/simulator/simulator.go", ") do(", "services/shipping/carrier/simulator FuzzAnswer"},
	{"services/shipping/carrier/simulator/webhook.go", ") VerifyWebhook(", "services/shipping/carrier/simulator FuzzWebhook"},
	{"services/dataplatform/batch.go", "func NewLine(", "services/dataplatform FuzzLine"},
	{"services/dataplatform/service/http.go", "type replayRequest ", "services/dataplatform/service FuzzReplay"},
	{"services/gateway/decide.go", "func decode(", "services/gateway/service FuzzTimeline"},
	{"services/gateway/service/timeline.go", "func newFollower(", "services/gateway/service FuzzTimeline"},
	{"services/gateway/internal/upstream/upstream.go", ") Refusal(", "services/gateway/internal/upstream FuzzRefusal"},
	{"services/mailer/letter/letter.go", ") Write(", "services/mailer/letter FuzzWrite"},
	{"services/mailer/smtp/smtp.go", ") compose(", "services/mailer/smtp FuzzCompose"},
	{"services/member/seed/seed.go", "func Load(", "services/member/seed FuzzLoad"},
	{"services/member/service/request.go", "type registerRequest ", "services/member/service FuzzRegister"},
	{"services/member/service/request.go", "type changeRequest ", "services/member/service FuzzRegister"},
	{"services/member/service/request.go", "type sessionRequest ", "services/member/service FuzzSession"},
	{"services/member/service/request.go", "type addressRequest ", "services/member/service FuzzAddress"},
	{"services/mailer/service/report.go", "func parseReport(", "services/mailer/service FuzzReport"},
	{"services/webhook/outward/policy.go", ") CheckURL(", "services/webhook/outward FuzzCheckURL"},
	{"services/webhook/service/request.go", "type createRequest ", "services/webhook/service FuzzEndpoint"},
	{"services/webhook/service/request.go", "type updateRequest ", "services/webhook/service FuzzEndpoint"},
	{"services/webhook/service/request.go", "type resendRequest ", "services/webhook/service FuzzAgain"},
	{"services/webhook/service/request.go", "type recoverRequest ", "services/webhook/service FuzzAgain"},
	{"services/webhook/service/http.go", "func spelled(", "services/webhook/service FuzzAgain"},
	{"services/quadrille/cli/session.go", "func readDevEnv(", "services/quadrille/cli FuzzDevEnv"},
	{"services/quadrille/rest/stream.go", "func readEvents(", "services/quadrille/rest FuzzEvents"},
	{"services/quadrille/rest/rest.go", ") Problem(", "services/quadrille/rest FuzzProblem"},
	{"services/simulator/answer/answer.go", "func Read(", "services/simulator FuzzOutside"},
	{"services/simulator/inbox/parse.go", "func parse(", "services/simulator/inbox FuzzParse"},
	{"services/simulator/journal/journal.go", "func scan(", "services/simulator/journal FuzzScan"},
}

// requests are the types of bodies: each one is a decoder.
var requests = regexp.MustCompile(`(?m)^type (\w+Request) struct`)

// small are bodies whose fields nothing is made of: TestStrange spoils them, and FuzzUnderstood reads such ones.
var small = map[string]bool{
	"itemRequest": true, "discountRequest": true, // inside others
	"cancelRequest": true, "recountRequest": true, "reasonRequest": true, // a reason, kept as it is
	"ReplayRequest": true, "previewRequest": true,
	"services/order/service/request.go changeRequest": true, // the id of an address, looked up as it is
}

// TestEveryDecoderIsFuzzed holds the list against the code, both ways.
func TestEveryDecoderIsFuzzed(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	listed := map[string]bool{}
	for _, d := range decoders {
		source, err := os.ReadFile(filepath.Join(root, d.file))
		if err != nil || strings.Count(string(source), d.text) != 1 {
			t.Errorf("%s: %q stands there %d times, %v", d.file, d.text, strings.Count(string(source), d.text), err)
		}
		dir, name, _ := strings.Cut(d.target, " ")
		if !defined(t, filepath.Join(root, dir), "func "+name+"(f *testing.F)") {
			t.Errorf("%s %s is not fuzzed: there is no %s", d.file, d.text, d.target)
		}
		listed[d.file+" "+d.text] = true
	}
	err := filepath.WalkDir(filepath.Join(root, "services"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "simulator") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range requests.FindAllStringSubmatch(string(source), -1) {
			file := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
			known := small[m[1]] || small[file+" "+m[1]] || listed[file+" type "+m[1]+" "]
			if !known && strings.Contains(string(source), "`json:") && strings.HasSuffix(filepath.Dir(path), "service") {
				t.Errorf("%s: the body %s is read, and no fuzz target reads it", path, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// defined says whether a test file of a folder holds a text.
func defined(t *testing.T, dir, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), text) {
			return true
		}
	}
	return false
}
