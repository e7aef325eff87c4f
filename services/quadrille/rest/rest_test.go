package rest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStream(t *testing.T) {
	t.Parallel()
	var asked http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header
		if r.URL.Path == "/done" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = w.Write([]byte(": heartbeat\n\nid: 1\nevent: a\ndata: {\"n\":1}\n\nid:2\ndata: x\ndata: y\n\ndata: cut"))
	}))
	defer server.Close()
	c := Client{BaseURL: server.URL, Token: "secret"}
	var got []StreamEvent
	err := c.Stream(t.Context(), "/", "0", func(e StreamEvent) error {
		got = append(got, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// An event that was not ended by an empty line has not been sent.
	want := []StreamEvent{{ID: "1", Type: "a", Data: []byte(`{"n":1}`)}, {ID: "2", Data: []byte("x\ny")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if asked.Get("Last-Event-ID") != "0" || asked.Get("Authorization") != "Bearer secret" || asked.Get("Accept") != "text/event-stream" {
		t.Errorf("asked with %v", asked)
	}
	calls := 0
	err = c.Stream(t.Context(), "/", "", func(StreamEvent) error { calls++; return Enough() })
	if err != nil || calls != 1 {
		t.Errorf("ended from within after %d events: %v", calls, err)
	}
	if err := c.Stream(t.Context(), "/done", "2", nil); err != nil {
		t.Errorf("204 is the end, not %v", err)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/refused":
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = w.Write([]byte(`{"status":422,"code":"price_changed","detail":"It is 2.","errors":[{"pointer":"/p","code":"price_changed","detail":"2"}],"requestId":"r"}`))
		default:
			http.Error(w, "gone wrong", http.StatusBadGateway)
		}
	}))
	c := Client{BaseURL: server.URL}
	var problem *Problem
	if err := c.Get(t.Context(), "/refused", nil); !errors.As(err, &problem) || problem.Code != "price_changed" || len(problem.Errors) != 1 {
		t.Errorf("%v", err)
	}
	if err := c.Get(t.Context(), "/", nil); !errors.As(err, &problem) || problem.Status != 502 || problem.Code != "bad_gateway" || problem.Detail != "gone wrong" {
		t.Errorf("%v", err)
	}
	server.Close()
	if err := c.Get(t.Context(), "/", nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}
