package simulator_test

import (
	"context"
	"net/http"
	"net/smtp"
	"testing"

	"github.com/quadrille-io/quadrille/services/simulator"
)

func TestStartAndClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 { // a clean end lets the directories and ports go
		s, err := simulator.Start(t.Context(), simulator.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, url := range []string{s.PaymentURL + "/v1/summary", s.CarrierURL + "/v1/bookings", s.InboxURL + "/", s.InboxURL + "/faults"} {
			resp, err := http.Get(url)
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("%s: %v %v", url, resp, err)
			}
			_ = resp.Body.Close()
		}
		if err := smtp.SendMail(s.SMTPAddr, nil, "a@example.com", []string{"b@example.com"}, []byte("\r\nx\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if resp, err := http.Get(s.PaymentURL); err == nil {
			_ = resp.Body.Close()
			t.Fatal("still answers")
		}
	}
}

// A start that fails half-way leaves nothing behind that hinders the next.
func TestFailedStartCleansUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := simulator.Start(t.Context(), simulator.Config{Dir: dir, InboxAddr: "256.0.0.1:0"}); err == nil {
		t.Fatal("started on an impossible address")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := simulator.Start(ctx, simulator.Config{Dir: dir}); err == nil {
		t.Fatal("started under an ended context")
	}
	s, err := simulator.Start(t.Context(), simulator.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
