package corpus_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// limits are so low that a test reaches them, and fill up again only after it.
var limits = map[string]string{
	"RATE_PER_ADDRESS": "0.001", "RATE_PER_ADDRESS_BURST": "5", "RATE_PER_MEMBER": "0.001", "RATE_PER_MEMBER_BURST": "3",
}

// spoofs are headers that claim another address than the connection's. None of them is to be believed from a stranger.
var spoofs = []http.Header{
	{"X-Forwarded-For": {"203.0.113.1"}},
	{"X-Forwarded-For": {"203.0.113.1, 198.51.100.2"}},
	{"X-Forwarded-For": {"203.0.113.1", "198.51.100.2"}},
	{"X-Forwarded-For": {"127.0.0.1"}},
	{"X-Forwarded-For": {"10.0.0.1"}},
	{"X-Forwarded-For": {"2001:db8::1"}},
	{"X-Forwarded-For": {"[2001:db8::1]:443"}},
	{"X-Forwarded-For": {"203.0.113.1:80"}},
	{"X-Forwarded-For": {"unknown"}},
	{"X-Forwarded-For": {""}},
	{"X-Forwarded-For": {strings.Repeat("203.0.113.1,", 1000)}},
	{"x-forwarded-for": {"203.0.113.1"}},
	{"X-Real-Ip": {"203.0.113.1"}},
	{"Forwarded": {"for=203.0.113.1;proto=https;by=203.0.113.43"}},
	{"Forwarded": {`for="[2001:db8::1]:4711"`}},
	{"True-Client-Ip": {"203.0.113.1"}},
	{"Cf-Connecting-Ip": {"203.0.113.1"}},
	{"Fastly-Client-Ip": {"203.0.113.1"}},
	{"X-Client-Ip": {"203.0.113.1"}},
	{"X-Cluster-Client-Ip": {"203.0.113.1"}},
	{"X-Original-Forwarded-For": {"203.0.113.1"}},
	{"X-Originating-Ip": {"203.0.113.1"}},
	{"X-Remote-Addr": {"203.0.113.1"}},
	{"X-Envoy-External-Address": {"203.0.113.1"}},
	{"X-Azure-Clientip": {"203.0.113.1"}},
	{"Client-Ip": {"203.0.113.1"}},
	{"Via": {"1.1 203.0.113.1"}},
	{"Host": {"203.0.113.1"}},
	{"X-Forwarded-For": {"203.0.113.1"}, "X-Real-Ip": {"203.0.113.2"}, "Forwarded": {"for=203.0.113.3"}},
}

// TestAddresses uses up what one address may ask, and then claims to be others: first from the street, where nobody's
// word is taken, then behind a proxy that is trusted, whose word is taken for what stands to the right only.
func TestAddresses(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *local.Config) {
		c.Environment["LOG_LEVEL"] = "error"
		c.ServiceEnvironment = map[string]map[string]string{"gateway": limits}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	w.exhaust(t, nil)
	for _, header := range spoofs {
		w.limited(t, header)
	}
	trusting := map[string]string{"TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8,2001:db8:ffff::/48"}
	for name, value := range limits {
		trusting[name] = value
	}
	if err := w.StopService(ctx, "gateway"); err != nil {
		t.Fatal(err)
	}
	w.cfg.ServiceEnvironment["gateway"] = trusting
	if err := w.StartService(ctx, "gateway"); err != nil {
		t.Fatal(err)
	}
	w.behindProxy(t)
}

// behindProxy is the part of TestAddresses where 127.0.0.1 is a proxy of ours.
func (w town) behindProxy(t *testing.T) {
	t.Helper()
	from := func(values ...string) http.Header { return http.Header{"X-Forwarded-For": values} }
	w.exhaust(t, from("203.0.113.7"))
	for _, header := range []http.Header{
		from("198.51.100.1, 203.0.113.7"), from("198.51.100.2,203.0.113.7, 10.1.2.3"), from("198.51.100.3", "203.0.113.7"),
		from("127.0.0.1, 203.0.113.7"), from("10.0.0.9, 203.0.113.7"), from("unknown, 203.0.113.7"), from("::ffff:203.0.113.7"),
		{"X-Forwarded-For": {"203.0.113.7"}, "X-Real-Ip": {"198.51.100.4"}, "Forwarded": {"for=198.51.100.5"}, "True-Client-Ip": {"198.51.100.6"}},
	} {
		w.limited(t, header)
	}
	// What is not named as a proxy is none, in whatever network it stands.
	w.exhaust(t, from("192.168.0.1"))
	w.limited(t, from("198.51.100.7, 192.168.0.1"))
	// A whole network of IPv6 is one customer's.
	w.exhaust(t, from("2001:db8:1:2::1"))
	w.limited(t, from("2001:db8:1:2::2"))
	w.limited(t, from("2001:db8:1:2:ffff:ffff:ffff:ffff"))
	for _, header := range []http.Header{from("203.0.113.8"), from("203.0.113.7, 203.0.113.9"), from("2001:db8:1:3::1"), from("2001:db8:9::1, 2001:db8:ffff::1")} {
		if got := w.products(t, header); got.Status != http.StatusOK {
			t.Errorf("%v is not limited, and answered %d %s", header, got.Status, got.Body)
		}
	}
}

// products asks the gateway for something that needs no token.
func (w town) products(t *testing.T, header http.Header) rest.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.GatewayURL()+"/api/v1/products", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if host := header["Host"]; host != nil {
		req.Host = host[0]
	}
	return send(t, req)
}

// exhaust asks as often as an address may, and once more.
func (w town) exhaust(t *testing.T, header http.Header) {
	t.Helper()
	for i := range 5 {
		got := w.products(t, header)
		if got.Status != http.StatusOK || got.Header.Get("RateLimit-Remaining") != strconv.Itoa(4-i) {
			t.Errorf("request %d from %v: answered %d with %q left, want 200 with %d", i, header, got.Status, got.Header.Get("RateLimit-Remaining"), 4-i)
		}
	}
	w.limited(t, header)
}

// limited holds that the address has asked too often, whatever the headers say.
func (w town) limited(t *testing.T, header http.Header) {
	t.Helper()
	tooMany(t, fmt.Sprintf("%.200v", header), w.products(t, header))
}

func tooMany(t *testing.T, what string, got rest.Response) {
	t.Helper()
	refused(t, what, got, http.StatusTooManyRequests, fault.CodeRateLimited)
	if after, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || after < 1 || !got.Problem().Retryable {
		t.Errorf("%s: Retry-After %q, retryable %v", what, got.Header.Get("Retry-After"), got.Problem().Retryable)
	}
}

// TestHoarding: a member may ask only so often, by however many tokens and at whichever service; others are served.
func TestHoarding(t *testing.T) {
	t.Parallel()
	const burst = 20
	w := open(t, func(c *local.Config) {
		c.Environment["LOG_LEVEL"], c.Environment["RATE_PER_MEMBER"], c.Environment["RATE_PER_MEMBER_BURST"] = "error", "0.001", strconv.Itoa(burst)
		// The start asks, as the operator, until the services know all members; it is limited as well, so there are none.
		c.Members = []*memberv1.MemberChanged{}
	})
	for service, path := range map[string]string{
		"gateway": "/api/v1/points", "order": "/api/v1/orders", "coupon": "/api/v1/coupons",
		"shipping": "/api/v1/orders/0190a3a0-0000-7000-8000-000000000009/shipment",
	} {
		for _, member := range []string{local.Customer, local.Customer2} {
			var statuses []int
			for range burst + 2 {
				// A token of its own each time: a second one is no second allowance.
				c := w.client(t, member)
				c.BaseURL = w.URL(service)
				got, err := c.Do(t.Context(), rest.Request{Method: http.MethodGet, Path: path})
				if err != nil {
					t.Fatal(err)
				}
				statuses = append(statuses, got.Status)
				if got.Status == http.StatusTooManyRequests {
					tooMany(t, service+" as "+member, got)
				}
			}
			if want := []int{429, 429}; !slices.Equal(statuses[burst:], want) || slices.Contains(statuses[:burst], 429) {
				t.Errorf("%s as %s: answered %v, want those after the first %d refused and no earlier one", service, member, statuses, burst)
			}
		}
	}
}

// TestSlow holds connections that never finish what they say: half a request line, headers drop by drop, a body drop by
// drop, nothing after an answer. Each is cut, by its own limit, while everybody else is served.
func TestSlow(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *local.Config) {
		for name, value := range map[string]string{"LOG_LEVEL": "warn", "HTTP_READ_HEADER_TIMEOUT": "1s", "HTTP_READ_TIMEOUT": "2s", "HTTP_IDLE_TIMEOUT": "2s"} {
			c.Environment[name] = value
		}
	})
	token := w.client(t, local.Customer).Token
	head := "POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\n"
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { w.served(t, stop) })
	var slow sync.WaitGroup
	for name, s := range map[string]struct {
		begin, drop string
		// answer is the status the client hears before it is cut off, 0 if none.
		answer int
	}{
		"nothing at all":       {"", "", 0},
		"half a request line":  {"GET /api", "", 0},
		"a request line":       {"", "G", 0},
		"headers":              {"GET /api/v1/orders HTTP/1.1\r\nHost: shop\r\n", "X-A: b\r\n", 0},
		"headers of nothing":   {head, "", 0},
		"a body":               {head + "Content-Length: 1000\r\n\r\n", " ", http.StatusRequestTimeout},
		"a body of nothing":    {head + "Content-Length: 1000\r\n\r\n", "", http.StatusRequestTimeout},
		"a body in chunks":     {head + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", http.StatusRequestTimeout},
		"chunks of nothing":    {head + "Transfer-Encoding: chunked\r\n\r\n", "", http.StatusRequestTimeout},
		"silence after answer": {"GET /openapi.json HTTP/1.1\r\nHost: shop\r\n\r\n", "", http.StatusOK},
	} {
		for _, service := range []string{"gateway", "order"} {
			for range 20 {
				slow.Go(func() {
					if service == "order" && s.answer == http.StatusOK {
						return
					}
					if err := w.dribble(t, service, s.begin, s.drop, s.answer, s.answer != http.StatusOK); err != nil {
						t.Errorf("%s: %s: %v", service, name, err)
					}
				})
			}
		}
	}
	slow.Wait()
	close(stop)
	others.Wait()
}

// dribble says something slowly until the server hangs up, and reads what it had to say.
func (w town) dribble(t *testing.T, service, begin, drop string, answer int, problem bool) error {
	conn, err := w.dial(t, service)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, begin); err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for drop != "" {
			select {
			case <-ended:
				return
			case <-ticker.C:
				if _, err := io.WriteString(conn, drop); err != nil {
					return // cut off, which is what we are waiting for
				}
			}
		}
	}()
	answers := bufio.NewReader(conn)
	if answer != 0 {
		got, err := readAnswer(answers)
		if err != nil {
			return err
		}
		if got.Status != answer || problem && got.Problem().Code != fault.CodeRequestTimeout {
			return fmt.Errorf("answered %d %s, want %d", got.Status, got.Body, answer)
		}
	}
	if rest, err := io.ReadAll(answers); err == nil && len(rest) > 0 && !strings.HasPrefix(string(rest), "HTTP/1.1 4") {
		return fmt.Errorf("said %q at the end", rest)
	} else if err != nil && strings.Contains(err.Error(), "i/o timeout") {
		return fmt.Errorf("not cut off: %w", err)
	}
	return nil
}

// served keeps asking as everybody else would.
func (w town) served(t *testing.T, stop <-chan struct{}) {
	n := 0
	for c := w.client(t, local.Customer2); ; n++ {
		for _, path := range []string{"/api/v1/orders", "/api/v1/products", "/api/v1/points"} {
			got, err := c.Do(t.Context(), rest.Request{Method: http.MethodGet, Path: path})
			if err != nil || got.Status != http.StatusOK {
				t.Errorf("meanwhile %s: %d %s %v", path, got.Status, got.Body, err)
			}
		}
		select {
		case <-stop:
			t.Logf("%d times served meanwhile", n+1)
			return
		default:
		}
	}
}
