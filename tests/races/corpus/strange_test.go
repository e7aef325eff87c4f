package corpus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// body is a request that is taken as it is, to be spoilt in every place.
type body struct {
	method, service, path, text string
}

// bodies are those of every request that has one, by the service that reads them. {n} is a number of the request's
// own, so that one that is taken does not stand in the next one's way.
var bodies = []body{
	{"POST", "order", "/api/v1/orders", `{"userId":"test1234","items":[{"productId":"PRD_240701120000001_0001_101","quantity":1,"productPrice":10050}],"couponFailurePolicy":"CANCEL_ORDER","pointAmount":0,"deliveryFee":0,"paymentAmount":10050,"paymentType":"CREDIT","paymentToken":"tok_ok","shippingAddressId":"0190a3a0-0000-7000-8000-000000000001"}`},
	{"POST", "gateway", "/api/v1/orders", `{"items":[{"productId":"PRD_240701120000001_0001_101","quantity":1,"productPrice":10050}],"couponIds":["WELCOME"],"discountAmount":50,"pointAmount":100,"paymentAmount":9900,"couponFailurePolicy":"PAY_FULL_PRICE","paymentType":"CREDIT"}`},
	{"POST", "order", "/api/v1/orders", `{"items":[{"productId":"PRD_240701120000001_0001_101","quantity":1,"productPrice":10050}],"discountPolicyId":"WELCOME","discountAmount":3000,"paymentAmount":7050,"paymentType":"CREDIT"}`},
	{"POST", "order", "/api/v1/orders/preview", `{"items":[{"productId":"PRD_240701120000001_0001_101","quantity":1,"productPrice":10050}],"couponIds":["WELCOME"],"paymentAmount":10050,"paymentType":"CREDIT"}`},
	{"POST", "gateway", "/api/v1/orders/preview", `{"items":[{"productId":"PRD_240701120000001_0001_101","quantity":1,"productPrice":10050}],"discountPolicyId":"WELCOME","discountAmount":0,"paymentAmount":10050,"paymentType":"CREDIT"}`},
	{"POST", "order", "/api/v1/orders/{order}/cancel", `{"reason":"no more"}`},
	{"POST", "stock", "/ops/v1/products", `{"productId":"P-{n}","name":"Piece","price":1,"currency":"KRW","quantity":1,"reason":"new"}`},
	{"POST", "stock", "/ops/v1/products/SOLDOUT/restock", `{"quantity":1,"reason":"came"}`},
	{"PATCH", "stock", "/ops/v1/products/SOLDOUT", `{"name":"Sold out piece","price":1000,"onSale":true,"reason":"dearer"}`},
	{"POST", "coupon", "/ops/v1/coupon-policies", `{"policyId":"POLICY-{n}","name":"Off","discount":{"amount":1},"minimumAmount":1,"currency":"KRW","limit":1,"validFrom":"2026-01-01T00:00:00Z","validUntil":"2036-01-01T00:00:00Z","reason":"spring"}`},
	{"POST", "coupon", "/ops/v1/coupon-policies", `{"policyId":"PERCENT-{n}","name":"Off","discount":{"percent":10,"maxAmount":1000},"limit":1}`},
	{"POST", "coupon", "/api/v1/coupons/quote", `{"userId":"test1234","couponRefs":["WELCOME"],"itemsAmount":1,"currency":"KRW"}`},
	{"POST", "coupon", "/api/v1/coupon-policies/WELCOME/issue", `{}`},
	{"POST", "payment", "/ops/v1/points/grants", `{"userId":"member-{n}","amount":1,"reason":"sorry"}`},
	{"POST", "gateway", "/ops/v1/failures/replay", `{"filter":{"service":"order","group":"g","subject":"s"},"dryRun":true,"reason":"again"}`},
	{"POST", "order", "/internal/v1/failures/replay", `{"filter":{"service":"order","group":"g","subject":"s"},"dryRun":true,"reason":"again"}`},
	{"POST", "gateway", "/ops/v1/subscriptions/order/resume", `{"reason":"fixed"}`},
}

// TestStrange puts every value of testdata/value.json in every place of every body, and asks for every path of
// testdata/path.json. Nothing of it may be the system's failure: no 5xx, no error in a log, no event that some service
// cannot deal with afterwards; and while it lasts, others are served.
func TestStrange(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *local.Config) { c.Environment["LOG_LEVEL"] = "warn" })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.Seed(ctx); err != nil {
		t.Fatal(err)
	}
	t.Run("requests", func(t *testing.T) {
		t.Run("bodies", func(t *testing.T) { t.Parallel(); strangeBodies(t, w) })
		t.Run("paths", func(t *testing.T) { t.Parallel(); strangePaths(t, w) })
		t.Run("bytes", func(t *testing.T) { t.Parallel(); strangeBytes(t, w) })
	})
	w.unharmed(t)
}

// spoilt lists a JSON text once for each value that stands in it, with a hole there.
func spoilt(t *testing.T, text string) (texts []string) {
	t.Helper()
	var root any
	if err := json.Unmarshal([]byte(text), &root); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var walk func(v any, set func(any))
	walk = func(v any, set func(any)) {
		set("@hole@")
		whole, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.ReplaceAll(string(whole), `"@hole@"`, hole))
		set(v)
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				walk(v[name], func(x any) { v[name] = x })
			}
		case []any:
			for i := range v {
				walk(v[i], func(x any) { v[i] = x })
			}
		}
	}
	walk(root, func(x any) { root = x })
	return texts
}

const hole = "@hole@"

var repeats = regexp.MustCompile(`<<(.+?)\*(\d+)>>`)

// expand writes <<a*300>> out.
func expand(text string) string {
	return repeats.ReplaceAllStringFunc(text, func(s string) string {
		parts := repeats.FindStringSubmatch(s)
		n, _ := strconv.Atoi(parts[2])
		return strings.Repeat(parts[1], n)
	})
}

// strangeBodies sends every body with every value in every place. A number in it keeps those apart that are taken.
func strangeBodies(t *testing.T, w town) {
	values := corpus[string](t, "value.json")
	// A customer who is an operator too may do all of it.
	token := w.client(t, local.Customer, web.RoleOperator).Token
	order := place(t, w.client(t, local.Customer), basket(local.Product, 10_050))
	var n atomic.Int64
	post := func(b body, text string) (what string, got rest.Response, ok bool) {
		text = strings.ReplaceAll(text, "{n}", strconv.FormatInt(n.Add(1), 10))
		path := strings.ReplaceAll(b.path, "{order}", order)
		what = fmt.Sprintf("%s: %s %s with %.300s", b.service, b.method, path, text)
		for begin := time.Now(); ; {
			req, err := http.NewRequestWithContext(t.Context(), b.method, w.URL(b.service)+path, strings.NewReader(text))
			if err != nil {
				t.Error(err)
				return what, got, false
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+token)
			got, err = ask(req)
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if got.Status != http.StatusServiceUnavailable || !got.Problem().Retryable || time.Since(begin) > patience {
				return what, got, err == nil
			}
			// A busy machine: the gateway waits for the services it asks only so long, and says so.
		}
	}
	statuses := sync.Map{}
	each(16, bodies, func(b body) {
		if what, got, ok := post(b, b.text); ok && (got.Status < 200 || got.Status > 299) {
			t.Errorf("%s: answered %d %s, want it taken as it is", what, got.Status, got.Body)
		}
		for _, text := range spoilt(t, b.text) {
			for i, value := range values {
				if b.service == "gateway" && i%4 > 0 {
					continue // it asks three services for each, and order reads the same body
				}
				if what, got, ok := post(b, strings.ReplaceAll(text, hole, expand(value))); ok {
					statuses.Store(got.Status, true)
					sane(t, what, got)
				}
			}
		}
	})
	t.Logf("%d bodies sent", n.Load())
	for _, status := range []int{200, 202, 400, 409, 413, 422} {
		if _, seen := statuses.Load(status); !seen {
			t.Errorf("no answer was %d: the bodies are not what they are taken for", status)
		}
	}
}

// each calls f with all of the list, some at a time.
func each[T any](jobs int, list []T, f func(T)) {
	work := make(chan T)
	var wg sync.WaitGroup
	for range jobs {
		wg.Go(func() {
			for x := range work {
				f(x)
			}
		})
	}
	for _, x := range list {
		work <- x
	}
	close(work)
	wg.Wait()
}

// sane holds an answer to what must be so whatever was asked.
func sane(t *testing.T, what string, got rest.Response) {
	t.Helper()
	kind := got.Header.Get("Content-Type")
	switch {
	case got.Status >= 500:
		t.Errorf("%s: answered %d %s", what, got.Status, got.Body)
	case got.Header.Get("X-Injected") != "":
		t.Errorf("%s: a header of the caller's stands in the answer", what)
	case got.Status >= 400 && kind == "application/problem+json":
		if p := got.Problem(); p.Status != got.Status || p.Code == "" || p.RequestID == "" {
			t.Errorf("%s: answered with an incomplete problem %s", what, got.Body)
		}
	case got.Status >= 400 && !strings.HasPrefix(kind, "text/html"):
		t.Errorf("%s: answered %d with %q %s, want a problem document", what, got.Status, kind, got.Body)
	}
}

// pathCorpus is testdata/path.json: every place with every text, every parameter with every query, and some as they are.
type pathCorpus struct {
	Places  []string            `json:"places"`
	Texts   []string            `json:"texts"`
	Params  map[string][]string `json:"params"`
	Queries []string            `json:"queries"`
	Whole   []string            `json:"whole"`
}

func (c pathCorpus) paths() (list []string) {
	list = append(list, c.Whole...)
	for _, place := range c.Places {
		for _, text := range c.Texts {
			list = append(list, strings.ReplaceAll(place, "{}", text))
		}
	}
	for path, names := range c.Params {
		for _, name := range names {
			for _, query := range c.Queries {
				list = append(list, path+"?"+name+"="+query)
			}
		}
	}
	return list
}

// strangePaths asks for every path, as a browser would not write it. Some net/http refuses before it is a request of
// ours; those answers are its own.
func strangePaths(t *testing.T, w town) {
	token := w.client(t, local.Operator, web.RoleOperator).Token
	var paths []string
	for _, c := range corpus[pathCorpus](t, "path.json") {
		paths = append(paths, c.paths()...)
	}
	found := sync.Map{}
	each(8, paths, func(path string) {
		method := http.MethodGet
		if strings.HasSuffix(path, "/resume") || strings.HasSuffix(path, "/restock") || strings.HasSuffix(path, "/issue") ||
			strings.HasSuffix(path, "/cancel") || strings.HasPrefix(path, "/webhooks/") {
			method = http.MethodPost
		}
		for _, service := range ownersOf(path) {
			lines := method + " " + expand(path) + " HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer " + token +
				"\r\nCookie: quadrille_console=" + token + "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
			got, err := w.raw(t, service, lines)
			what := fmt.Sprintf("%s: %s %.200s", service, method, path)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			found.Store(got.Status, true)
			if got.Header.Get("X-Request-Id") != "" { // not net/http's own
				sane(t, what, got)
			} else if got.Status != http.StatusBadRequest && got.Status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s: answered %d %s by nobody", what, got.Status, got.Body)
			}
		}
	})
	t.Logf("%d paths asked for", len(paths))
	for _, status := range []int{200, 400, 404} {
		if _, seen := found.Load(status); !seen {
			t.Errorf("no answer was %d: the paths are not what they are taken for", status)
		}
	}
}

// ownersOf are the gateway and the service that answers a path, if that is another one.
func ownersOf(path string) []string {
	for prefix, service := range map[string]string{
		"/api/v1/products": "stock", "/ops/v1/products": "stock", "/api/v1/coupon": "coupon", "/ops/v1/coupon": "coupon",
		"/api/v1/points": "payment", "/internal/v1/payments": "payment", "/internal/v1/mails": "mailer", "/ops/v1/dataplatform": "dataplatform", "/ops/v1/webhooks": "webhook", "/webhooks/": "shipping",
	} {
		if strings.HasPrefix(path, prefix) {
			return []string{"gateway", service}
		}
	}
	if strings.HasSuffix(path, "/shipment") {
		return []string{"gateway", "shipping"}
	}
	return []string{"gateway", "order"}
}
