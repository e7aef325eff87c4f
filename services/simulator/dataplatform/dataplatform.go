// Package dataplatform is a data platform to develop and test against: it takes signed batches of facts, remembers
// which ones came, and tells. It keeps what each fact is about, not what it says.
//
//	POST /facts                    a batch: 200 taken (also when it was taken before) · 400 not a batch ·
//	                               401 signature or timestamp · 409 the batch's id came with other facts before
//	GET  /received?orderId&limit   orders with their facts, and how often each came; newest first
//	GET  /received/totals          how much came
//	GET  /last                     the last batch, as it came
//	GET|POST /faults               see package outage (none, down, broken, cut, slow, timeout)
//
// Signatures are those of Standard Webhooks (https://www.standardwebhooks.com), read here independently of who
// makes them.
package dataplatform

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// Config of a Server.
type Config struct {
	// Dir holds the journal; one server at a time.
	Dir string
	// Secret signs the batches: whsec_ and base64. Without one nothing is taken.
	Secret string
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Server is the data platform. Serve its Handler, Close it after the HTTP server.
type Server struct {
	cfg    Config
	key    []byte
	memory *memory
	faults *outage.Switch
	stop   context.CancelFunc
	last   atomic.Pointer[[]byte] // the body of the last batch
}

// New opens the memory in cfg.Dir.
func New(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg}
	if cfg.Secret != "" {
		var err error
		if s.key, err = parseSecret(cfg.Secret); err != nil {
			return nil, fmt.Errorf("data platform: %w", err)
		}
	}
	var err error
	if s.memory, err = openMemory(cfg.Dir); err != nil {
		return nil, err
	}
	done, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.faults = outage.New(done.Done(), outage.Down, outage.Broken, outage.Cut, outage.Slow, outage.Timeout)
	return s, nil
}

// parseSecret reads whsec_ and base64.
func parseSecret(text string) ([]byte, error) {
	encoded, is := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !is || err != nil || len(key) == 0 {
		return nil, errors.New("the secret is not whsec_ followed by base64")
	}
	return key, nil
}

// Close lets waiting callers go and closes the journal.
func (s *Server) Close() error {
	s.stop()
	return s.memory.journal.Close()
}

// Faults is the switch behind /faults.
func (s *Server) Faults() *outage.Switch { return s.faults }

// Handler serves the calls of the package's description.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /facts", s.faults.Wrap(http.HandlerFunc(s.postFacts)))
	mux.HandleFunc("GET /received", s.getReceived) // who looks sees also while the platform is down for batches
	mux.HandleFunc("GET /received/totals", s.getTotals)
	mux.HandleFunc("GET /last", s.getLast)
	mux.Handle("/faults", s.faults)
	return mux
}
