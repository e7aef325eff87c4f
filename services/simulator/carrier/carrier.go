// Package carrier is a parcel carrier to develop and test against: a real HTTP
// server with idempotency keys, refusals, lost answers, signed webhooks and a
// memory that outlives a kill.
//
// Calls (JSON; errors as {"error":{"code","message"}}):
//
//	POST /v1/bookings {reference,address,items} + Idempotency-Key
//	     200 booked · 409 refused or voided · 422 key reused with another body
//	GET  /v1/bookings/by-key/{key}     200 in any state · 404 booking_not_found
//	GET  /v1/bookings/{id}             200 · 404 booking_not_found
//	GET  /v1/bookings?reference&limit  newest first
//	POST /v1/voids {key}               200 voided, or the booking if the key was used
//	POST /v1/bookings/{id}/cancel      200 cancelled · 409 the booking as it stands: on its way
//	POST /v1/bookings/{id}/advance {to: dispatched|out_for_delivery|delivered|lost|returned}   200 · 409
//	GET|POST /faults                   see package outage (none, down, cut, slow, timeout)
//
// A booked parcel is dispatched after Config.DispatchDelay. Every state
// from then on is told to Config.WebhookURL until a 2xx takes it.
//
// Addresses with a meaning: see the Postal constants.
package carrier

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// Postal codes (address.postalCode) with a meaning.
const (
	PostalRefused       = "00000" // refused: address_not_served
	PostalUnknown       = "00001" // booked, but the first answer never comes
	PostalUnknownFailed = "00002" // not booked, and no answer comes
	PostalOnItsWay      = "00003" // booked; a cancel finds it on its way
)

// Config of a Server.
type Config struct {
	// Dir holds the journal; one server at a time.
	Dir string
	// DispatchDelay is when a booked parcel leaves by itself; default 10 min,
	// negative: never.
	DispatchDelay time.Duration
	// WebhookURL is where webhooks go; if empty they are kept until a server is
	// started with one.
	WebhookURL string
	// WebhookSecret signs them.
	WebhookSecret string
	// WebhookTimeout of one attempt; default 5 s.
	WebhookTimeout time.Duration
	// RetryMin and RetryMax are the pauses after a webhook that was not taken,
	// doubling; default 500 ms to 1 min.
	RetryMin, RetryMax time.Duration
	// HangTime is how long a caller without an answer is kept before the
	// connection is cut, unless it gives up before; default 30 s.
	HangTime time.Duration
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.DispatchDelay, 10 * time.Minute},
		{&c.WebhookTimeout, 5 * time.Second},
		{&c.RetryMin, 500 * time.Millisecond},
		{&c.RetryMax, time.Minute},
		{&c.HangTime, 30 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// Server is the carrier. Serve its Handler, Close it after the HTTP server.
type Server struct {
	cfg      Config
	register *register
	faults   *outage.Switch
	done     context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// New opens the register in cfg.Dir, replays it, and starts what runs by
// itself: departures and webhooks, also those left from an earlier life.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	r, err := openRegister(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, register: r}
	s.done, s.stop = context.WithCancel(context.Background())
	s.faults = outage.New(s.done.Done(), outage.Down, outage.Cut, outage.Slow, outage.Timeout)

	wake := make(chan struct{}, 1)
	moved := func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	notice := func(Webhook) {}
	if cfg.WebhookURL != "" {
		h := newHerald(cfg, r)
		notice = h.enqueue
		for _, l := range h.lanes {
			s.running.Go(func() { h.run(s.done, l) })
		}
	}
	r.attend(moved, notice)
	s.running.Go(func() { s.depart(wake) })
	return s, nil
}

// depart lets parcels leave when their time has come.
func (s *Server) depart(wake <-chan struct{}) {
	for s.done.Err() == nil {
		next, err := s.register.dispatchDue(time.Now())
		if err != nil {
			slog.Error("simulated carrier stops dispatching", "error", err)
			return
		}
		waitUntil(s.done, next, wake)
	}
}

// Close lets waiting callers go (their connections are cut), ends departures
// and webhooks and closes the register. Requests that come later are answered
// 500.
func (s *Server) Close() error {
	s.stop()
	s.running.Wait()
	return s.register.journal.Close()
}

// Faults is the switch behind /faults.
func (s *Server) Faults() *outage.Switch { return s.faults }

// Undelivered is the number of webhooks nobody has taken yet.
func (s *Server) Undelivered() int { return s.register.untoldCount() }

// Bookings are all bookings, or those of one reference (if not ""), newest first: for checks that no
// parcel was booked twice or left for a cancelled order.
func (s *Server) Bookings(reference string) ([]Booking, error) {
	list, _, err := s.register.list(reference, math.MaxInt)
	return list, err
}

// Handler serves the calls of the package's description.
func (s *Server) Handler() http.Handler {
	v1 := http.NewServeMux()
	v1.HandleFunc("POST /v1/bookings", s.postBooking)
	v1.HandleFunc("GET /v1/bookings", s.listBookings)
	v1.HandleFunc("GET /v1/bookings/by-key/{key}", s.getByKey)
	v1.HandleFunc("GET /v1/bookings/{id}", s.getBooking)
	v1.HandleFunc("POST /v1/bookings/{id}/cancel", s.postCancel)
	v1.HandleFunc("POST /v1/voids", s.postVoid)

	mux := http.NewServeMux()
	mux.Handle("/v1/", s.faults.Wrap(v1))
	mux.HandleFunc("POST /v1/bookings/{id}/advance", s.postAdvance) // the van drives also while the API is down
	mux.Handle("/faults", s.faults)
	return mux
}
