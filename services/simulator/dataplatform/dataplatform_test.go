package dataplatform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/answer"
	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// secret is that of the reference libraries' example.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// site is a running platform.
type site struct {
	t      *testing.T
	server *Server
	url    string
}

func open(t *testing.T, dir string) *site {
	t.Helper()
	server, err := New(Config{Dir: dir, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	http := httptest.NewServer(server.Handler())
	s := &site{t, server, http.URL}
	t.Cleanup(func() { http.Close(); _ = server.Close() })
	return s
}

// send signs a body and sends it.
func (s *site) send(id, body string) (status int, said string) {
	s.t.Helper()
	key, err := parseSecret(secret)
	if err != nil {
		s.t.Fatal(err)
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/facts", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", at)
	req.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func (s *site) read(path string, into any) int {
	s.t.Helper()
	res, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode
}

// batch is a body with facts written as id/subject/sequence.
func batch(id string, replay bool, facts ...string) string {
	var lines []string
	for _, f := range facts {
		part := strings.Split(f, "/")
		lines = append(lines, fmt.Sprintf(`{"id":%q,"type":"quadrille.order.v1.OrderCreated","service":"order","subject":%q,"sequence":%s,`+
			`"occurredAt":"2026-11-21T12:00:0%sZ","position":1,"data":{},"added":"later"}`, part[0], part[1], part[2], part[2]))
	}
	return fmt.Sprintf(`{"schema":"quadrille.facts.v1","batchId":%q,"replay":%v,"facts":[%s]}`, id, replay, strings.Join(lines, ","))
}

// The example of the Standard Webhooks reference libraries holds.
func TestReferenceSignature(t *testing.T) {
	t.Parallel()
	key, err := parseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	if id, err := verify(key, h, []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0)); err != nil || id != "msg_p5jXN8AQM9LWM0D4loKWxJek" {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := verify(nil, h, []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0)); err == nil {
		t.Error("a platform without a secret takes anything")
	}
}

// What came is counted by batches: a repeated one is taken and changes nothing, one of another id counts again, a
// replay counts apart. A restart forgets nothing.
func TestWhatCame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	want := func(id, body string, status int, says string) {
		t.Helper()
		if got, said := s.send(id, body); got != status || !strings.Contains(said, says) {
			t.Errorf("%s: %d %s, want %d with %q", id, got, said, status, says)
		}
	}
	one := batch("b1", false, "e1/o1/1", "e2/o2/1", "e3/o1/2")
	want("b1", one, 200, `"repeated":false`)
	want("b1", one, 200, `"repeated":true`)
	want("b1", batch("b1", false, "e9/o1/9"), 409, "batch_id_reused")
	want("b2", batch("b2", true, "e1/o1/1", "e3/o1/2"), 200, "")
	want("b3", batch("b3", false, "e2/o2/1"), 200, "")
	want("b4", batch("b4", false, "e5/o3/2", "e4/o3/1"), 200, "")
	for range 2 {
		var totals Totals
		s.read("/received/totals", &totals)
		if wanted := (Totals{Batches: 4, ReplayBatches: 1, RepeatedBatches: 1, Facts: 5, MoreThanOnce: 1, Replayed: 2, OutOfOrder: 1}); totals != wanted {
			t.Errorf("%+v, want %+v", totals, wanted)
		}
		var list answer.List[Order]
		s.read("/received?limit=2", &list)
		if len(list.Data) != 2 || !list.HasMore || list.Data[0].OrderID != "o3" || list.Data[1].OrderID != "o2" || list.Data[1].Facts[0].Times != 2 {
			t.Errorf("%+v", list)
		}
		s.read("/received?orderId=o1", &list)
		if len(list.Data) != 1 || len(list.Data[0].Facts) != 2 {
			t.Fatalf("%+v", list)
		}
		for i, f := range list.Data[0].Facts {
			if f.Times != 1 || f.Replays != 1 || f.Sequence != int64(i+1) || f.Type != "quadrille.order.v1.OrderCreated" {
				t.Errorf("%+v", f)
			}
		}
		if err := s.server.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir)
	}
	var nothing answer.List[Order]
	if s.read("/received?orderId=nobody", &nothing); nothing.Data == nil || len(nothing.Data) > 0 {
		t.Errorf("%+v", nothing)
	}
}

// What is signed and is no batch is refused, and nothing of it is kept.
func TestWhatIsNoBatch(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	good := batch("b", false, "e/o/1")
	for name, body := range map[string]string{
		"no JSON": `{`, "a list": `[]`, "another schema": strings.Replace(good, "facts.v1", "facts.v2", 1), "no schema": `{}`,
		"another id": strings.Replace(good, `"batchId":"b"`, `"batchId":"c"`, 1), "no facts": batch("b", false),
		"a fact without an id": strings.Replace(good, `"id":"e"`, `"id":""`, 1), "of no time": strings.Replace(good, `2026-11-21T12:00:01Z`, `0001-01-01T00:00:00Z`, 1),
	} {
		if status, said := s.send("b", body); status != 400 {
			t.Errorf("%s: %d %s", name, status, said)
		}
	}
	if totals := s.server.Totals(); totals != (Totals{}) {
		t.Errorf("kept %+v", totals)
	}
	for _, path := range []string{"/received?limit=0", "/received?limit=x", "/received?limit=100001"} {
		var refused answer.Error
		if status := s.read(path, &refused); status != 400 {
			t.Errorf("%s: %d", path, status)
		}
	}
	var none answer.Error
	if status := s.read("/last", &none); status != 404 {
		t.Errorf("/last: %d", status)
	}
	if status, said := s.send("b", good); status != 200 {
		t.Errorf("%d %s", status, said)
	}
	var last struct{ BatchID string }
	if status := s.read("/last", &last); status != 200 || last.BatchID != "b" {
		t.Errorf("/last: %d %+v", status, last)
	}
}

// Faults are about batches; who looks sees what came all the same.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	yes, no := true, false
	for i, c := range []struct {
		fault  outage.Fault
		status int
		taken  bool
	}{
		{outage.Fault{Mode: outage.Down}, 503, false},
		{outage.Fault{Mode: outage.Broken, Applied: &no}, 500, false},
		{outage.Fault{Mode: outage.Broken, Applied: &yes}, 500, true},
		{outage.Fault{Mode: outage.Cut}, 0, false},
		{outage.Fault{}, 200, true},
	} {
		if err := s.server.Faults().Set(c.fault); err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprint("b", i)
		if status, said := s.send(id, batch(id, false, id+"/o/1")); status != c.status {
			t.Errorf("%+v: %d %s", c.fault, status, said)
		}
		var list answer.List[Order]
		s.read("/received", &list)
		taken := false
		for _, o := range list.Data {
			for _, f := range o.Facts {
				taken = taken || f.ID == id
			}
		}
		if taken != c.taken {
			t.Errorf("%+v: taken %v, want %v", c.fault, taken, c.taken)
		}
	}
}

func TestSecretIsChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"x", "whsec_", "whsec_not base64"} {
		if _, err := New(Config{Dir: t.TempDir(), Secret: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
