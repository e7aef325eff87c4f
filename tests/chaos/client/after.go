package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// after is what happens to an order once it is accepted: most are left alone.
func (s *session) after(order string) {
	at := s.rng.IntN(1000)
	switch {
	case at < 80:
		s.cancel(order)
	case at < 150:
		s.ship(order)
	case at < 165:
		// The van and the customer at the same time.
		van := s.aside()
		s.sessions.Go(func() { van.ship(order) })
		if s.pause(s.ctx, s.within(8*time.Second)) {
			s.cancelOnce(order)
		}
	case at < 215:
		s.look(order)
	}
}

// within is any duration up to the longest.
func (s *session) within(longest time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(longest)))
}

// cancel at a random moment, sometimes twice at once.
func (s *session) cancel(order string) {
	moments := []time.Duration{50 * time.Millisecond, 2 * time.Second, 10 * time.Second}
	if !s.pause(s.ctx, s.within(pick(s.rng, moments))) {
		return
	}
	if s.chance(0.25) {
		again := s.aside()
		s.sessions.Go(func() { again.cancelOnce(order) })
	}
	s.cancelOnce(order)
}

// cancelOnce changes nothing when repeated, so it is repeated until its outcome is known.
func (s *session) cancelOnce(order string) {
	r := s.customer(history.Cancel, http.MethodPost, "/api/v1/orders/"+order+"/cancel", map[string]any{"reason": "changed my mind"})
	r.Target = order
	s.insist(s.ctx, s.rng, r)
}

// look reads what the shop shows.
func (s *session) look(order string) {
	var r request
	switch s.rng.IntN(5) {
	case 0:
		r = s.customer(history.List, http.MethodGet, "/api/v1/orders?limit=20", nil)
	case 1:
		r = s.preview(s.rng, s.member, body(s.card(s.item(s.goods.plain, 3))))
	case 2:
		r = s.customer(history.Timeline, http.MethodGet, "/api/v1/orders/"+order+"/events", nil)
		r.Target, r.wait = order, 5*time.Second
	default:
		r = s.get(order)
		r.prefer, r.wait = "wait=10", callTimeout
		s.insist(s.ctx, s.rng, r)
		r = s.get(order)
	}
	s.insist(s.ctx, s.rng, r)
}

func (s *session) get(order string) request {
	r := s.customer(history.Get, http.MethodGet, "/api/v1/orders/"+order, nil)
	r.Target = order
	return r
}

func (c *Client) preview(rng *rand.Rand, member string, b map[string]any) request {
	delete(b, "paymentToken")
	r := request{method: http.MethodPost, path: "/api/v1/orders/preview", token: c.opt.Token(member), body: b}
	r.Op, r.Member, r.Gateway = history.Preview, member, c.gateway(rng)
	return r
}

// ship lets the carrier's van drive: to dispatched, and most often on to delivered or lost. An order that
// has no parcel after a while gets none.
func (s *session) ship(order string) {
	if !s.pause(s.ctx, s.within(15*time.Second)) {
		return
	}
	booking := s.booking(order)
	if booking == "" {
		return
	}
	words := [][]string{{"dispatched"}, {"delivered"}, {"dispatched", "delivered"}, {"dispatched", "delivered"}, {"lost"}}
	for _, word := range pick(s.rng, words) {
		r := request{method: http.MethodPost, body: map[string]string{"to": word}}
		r.Op, r.Target, r.Word = history.Ship, order, word
		sent := s.opt.History.Invoke(r.Invocation)
		end := s.send(s.ctx, s.opt.CarrierURL+"/v1/bookings/"+booking+"/advance", r)
		end.N, end.State, end.Order = sent.N, "", ""
		s.opt.History.Complete(end)
		if end.Outcome != history.OK || !s.pause(s.ctx, s.within(8*time.Second)) {
			return
		}
	}
}

// booking finds the order's parcel at the carrier, who may be away; "" if there is none.
func (s *session) booking(order string) string {
	for range 8 {
		id, err := s.askCarrier(s.ctx, order)
		if err == nil && id != "" {
			return id
		}
		if !s.pause(s.ctx, 2*time.Second) {
			break
		}
	}
	return ""
}

func (c *Client) askCarrier(ctx context.Context, order string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.opt.CarrierURL+"/v1/bookings/by-key/parcel-"+order, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var booking struct {
		BookingID string `json:"bookingId"`
		State     string `json:"state"`
	}
	content, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	if err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask the carrier: %d: %w", res.StatusCode, err)
	}
	if err := json.Unmarshal(content, &booking); err != nil {
		return "", fmt.Errorf("ask the carrier: %w", err)
	}
	return booking.BookingID, nil
}
