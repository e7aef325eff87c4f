package service_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// A fact reaches whoever wants it, once, in the documented form and signed; whoever wants something else does not hear
// of it, and the log says so.
func TestDelivered(t *testing.T) {
	t.Parallel()
	s := open(t)
	some, all := receive(t, nil), receive(t, nil)
	someID, someSecret := s.subscribe(some.url, completedType)
	_, allSecret := s.subscribe(all.url, "*")
	order := rig.NewID()
	done, gone := rig.NewEvent(order, completed(order)), rig.NewEvent(order, cancelled(order))
	s.Send(done, gone, done, done) // at least once is how events come
	first := some.await(done.ID, 1)[0]
	if err := first.verify(someSecret); err != nil {
		t.Errorf("signature: %v", err)
	}
	for _, d := range slices.Concat(all.await(done.ID, 1), all.await(gone.ID, 1)) {
		if err := d.verify(allSecret); err != nil {
			t.Errorf("signature: %v", err)
		}
	}
	if err := first.verify(allSecret); err == nil {
		t.Error("signed with somebody else's secret")
	}
	var body struct {
		Type      string
		Timestamp time.Time
		Data      map[string]any
	}
	if err := json.Unmarshal(first.body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Type != completedType || !body.Timestamp.Equal(done.Time.Truncate(time.Microsecond)) && !body.Timestamp.Equal(done.Time) ||
		body.Data["orderId"] != order || body.Data["paymentAmount"] != 10050.0 {
		t.Errorf("body %s", first.body)
	}
	if kind := first.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %s", kind)
	}
	s.CaughtUp()
	log := s.untilLogged(someID, done.ID, 1)
	if len(log) != 1 || log[0].Outcome != "DELIVERED" || log[0].status() != 204 || log[0].Attempt != 1 || log[0].Subject != order ||
		log[0].Type != completedType || log[0].NextAttemptAt != nil {
		t.Errorf("log %+v", log)
	}
	if len(s.attempts(someID, "")) != 1 || len(some.received("")) != 1 || len(all.received("")) != 2 {
		t.Errorf("%d and %d deliveries, want 1 and 2", len(some.received("")), len(all.received("")))
	}
}

// What fails is tried again under the same id and with the same bytes, until it is taken; every attempt is in the log,
// and there was none beside those.
func TestRetriedUntilTaken(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		switch n {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			panic(http.ErrAbortHandler) // cuts the connection
		case 3:
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
		case 4:
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			w.WriteHeader(http.StatusOK)
		}
	})
	id, secret := s.subscribe(r.url, completedType)
	event := s.Publish("order-1", completed("order-1"))
	log := s.untilLogged(id, event, 5)
	var statuses []int
	for i, a := range log {
		statuses = append(statuses, a.status())
		last := i == len(log)-1
		if a.Attempt != i+1 || (a.Outcome == "DELIVERED") != last || (a.NextAttemptAt == nil) != last || (a.Error == "") != last {
			t.Errorf("attempt %+v", a)
		}
	}
	if want := []int{500, 0, 307, 429, 200}; !slices.Equal(statuses, want) {
		t.Errorf("answered %v, want %v", statuses, want)
	}
	got := r.received("")
	if len(got) != len(log) {
		t.Errorf("%d requests, and %d attempts in the log", len(got), len(log))
	}
	for _, d := range got {
		if d.id != event || string(d.body) != string(got[0].body) || d.verify(secret) != nil {
			t.Errorf("another delivery: %s %s", d.id, d.body)
		}
	}
}

// A receiver that does not answer costs an attempt its time and no more; one that has answered and goes on writing for
// ever has answered.
func TestSlowReceivers(t *testing.T) {
	t.Parallel()
	s := open(t, "WEBHOOK_TIMEOUT", "500ms")
	hangs := receive(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	drips := receive(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.WriteHeader(http.StatusOK)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, "."); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})
	hanging, _ := s.subscribe(hangs.url, completedType)
	dripping, _ := s.subscribe(drips.url, completedType)
	event := s.Publish("order-1", completed("order-1"))
	log := s.untilLogged(hanging, event, 2)
	if log[0].status() != 0 || log[0].Outcome != "RETRYING" || log[0].Error != "no answer in time: context deadline exceeded" || log[1].Outcome != "DELIVERED" {
		t.Errorf("log %+v", log)
	}
	if log := s.untilLogged(dripping, event, 1); len(log) != 1 || log[0].Outcome != "DELIVERED" {
		t.Errorf("log %+v", log)
	}
}

// 410 ends it: no further attempt, the webhook is disabled, and says why; operators hear of it.
func TestGone(t *testing.T) {
	t.Parallel()
	told := make(chan string, 100)
	operators := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		told <- string(body)
	}))
	t.Cleanup(operators.Close)
	s := open(t, "OPERATORS_WEBHOOK", operators.URL, "OPERATORS_EVERY", "100ms")
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusGone) })
	id, _ := s.subscribe(r.url, completedType)
	event := s.Publish("order-1", completed("order-1"))
	if log := s.untilLogged(id, event, 1); log[0].Outcome != "GIVEN_UP" || log[0].status() != 410 {
		t.Errorf("log %+v", log)
	}
	e := s.ops(200, "GET", "/"+id, "")
	if e.Field("enabled") != "false" || e.Field("disabledReason") != "GONE" || e.Field("disabledAt") == "" {
		t.Errorf("webhook %s", e)
	}
	for path, body := range map[string]string{"/test": "", "/resend": `{"eventId":"` + event + `"}`, "/recover": `{"since":"2026-01-01T00:00:00Z"}`} {
		s.ops(409, "POST", "/"+id+path, body)
	}
	select {
	case notice := <-told:
		if !strings.Contains(notice, "webhook/GONE") || !strings.Contains(notice, id) {
			t.Errorf("operators were told %s", notice)
		}
	case <-time.After(rig.Patience):
		t.Error("operators were not told")
	}
	if e = s.ops(200, "PATCH", "/"+id, `{"enabled":true,"reason":"mended"}`); e.Field("enabled") != "true" || e.Field("disabledReason") != "" {
		t.Errorf("enabled: %s", e)
	}
	if len(r.received("")) != 1 {
		t.Errorf("%d requests, want 1", len(r.received("")))
	}
}

// A dead receiver is tried until its time is over, then given up; when nothing was delivered for long, the webhook is
// disabled. What was given up can be recovered.
func TestGivenUpDisabledAndRecovered(t *testing.T) {
	t.Parallel()
	s := open(t, "WEBHOOK_GIVE_UP_AFTER", "500ms", "WEBHOOK_DISABLE_AFTER", "1500ms", "WEBHOOK_RETRIES", "200ms")
	var mended flag
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		if mended.given() {
			w.WriteHeader(http.StatusOK)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	id, _ := s.subscribe(r.url, completedType)
	begin := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	events := []string{s.Publish("order-1", completed("order-1")), s.Publish("order-2", completed("order-2"))}
	testkit.Eventually(t, rig.Patience, func() error {
		for _, event := range events {
			log := s.attempts(id, "eventId="+event)
			if len(log) == 0 || log[len(log)-1].Outcome != "GIVEN_UP" {
				return fmt.Errorf("not given up: %+v", log)
			}
		}
		e := s.ops(200, "GET", "/"+id, "")
		if e.Field("disabledReason") != "FAILING" || e.Field("failingSince") == "" {
			return fmt.Errorf("not disabled: %s", e)
		}
		return nil
	})
	if logged, got := len(s.attempts(id, "")), len(r.received("")); logged != got {
		t.Errorf("%d attempts in the log, %d requests came", logged, got)
	}
	mended.give()
	s.ops(200, "PATCH", "/"+id, `{"enabled":true}`)
	var answer struct {
		Queued         int
		More, Complete bool
		RecordedSince  time.Time
	}
	s.ops(202, "POST", "/"+id+"/recover", `{"since":"`+begin+`"}`).Decode(t, &answer)
	// Since it was enabled again everything is recorded; before that it cannot say.
	if answer.Queued != len(events) || answer.More || answer.Complete || answer.RecordedSince.IsZero() {
		t.Errorf("recovered %+v", answer)
	}
	for _, event := range events {
		testkit.Eventually(t, rig.Patience, func() error {
			if log := s.attempts(id, "eventId="+event); log[len(log)-1].Outcome != "DELIVERED" {
				return fmt.Errorf("%+v", log)
			}
			return nil
		})
	}
	s.ops(202, "POST", "/"+id+"/recover", `{"since":"`+time.Now().UTC().Format(time.RFC3339Nano)+`"}`).Decode(t, &answer)
	if answer.Queued != 0 || !answer.Complete {
		t.Errorf("recovered %+v", answer)
	}
}

// A receiver that hangs keeps nobody else waiting.
func TestOneHangingReceiverStarvesNobody(t *testing.T) {
	t.Parallel()
	s := open(t, "WEBHOOK_CONCURRENCY", "4", "WEBHOOK_TIMEOUT", "10s")
	var release flag
	hangs := receive(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		select {
		case <-release.done():
		case <-r.Context().Done():
		}
	})
	t.Cleanup(release.give) // before the receivers are closed, which waits for what is under way
	works := receive(t, nil)
	s.subscribe(hangs.url, "*")
	s.subscribe(works.url, "*")
	const orders = 60
	var events []string
	for i := range orders {
		order := fmt.Sprintf("order-%02d", i)
		events = append(events, s.Publish(order, completed(order)))
	}
	for _, event := range events {
		works.await(event, 1)
	}
	if n := len(hangs.received("")); n > 4 {
		t.Errorf("%d requests to the one that hangs at once, want 4 at most", n)
	}
	if n := len(works.received("")); n != orders {
		t.Errorf("%d requests to the one that works, want %d", n, orders)
	}
}
