package carrier

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/quadrille-io/quadrille/services/simulator/answer"
)

// bookRequest is the body of POST /v1/bookings.
type bookRequest struct {
	Reference string  `json:"reference"`
	Address   Address `json:"address"`
	Items     []Item  `json:"items"`
}

// Address of a parcel's receiver.
type Address struct {
	Name       string `json:"name"`
	Phone      string `json:"phone"`
	Line1      string `json:"line1"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city"`
	PostalCode string `json:"postalCode"`
	Country    string `json:"country"` // ISO 3166-1 alpha-2
}

// Item of a parcel.
type Item struct {
	ProductID string `json:"productId"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
}

func (s *Server) postBooking(w http.ResponseWriter, r *http.Request) {
	var body bookRequest
	key := answer.Key(w, r)
	if key == "" || !answer.Read(w, r, &body) {
		return
	}
	if body.Reference == "" || len(body.Items) == 0 || body.Address.Line1 == "" || body.Address.PostalCode == "" {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "reference, items and the address's line1 and postalCode are required")
		return
	}
	o := order{key: key, reference: body.Reference, fingerprint: fingerprint(body), delay: s.cfg.DispatchDelay}
	switch body.Address.PostalCode {
	case PostalRefused:
		o.refusal = "address_not_served"
	case PostalOnItsWay:
		o.finalCancel = true
	case PostalUnknownFailed:
		if !s.register.decided(key) { // else the key has an answer, voided for one
			s.faults.Hang(r, s.cfg.HangTime)
		}
	}
	booking, fresh, err := s.register.book(o)
	if err == nil && fresh && body.Address.PostalCode == PostalUnknown {
		s.faults.Hang(r, s.cfg.HangTime)
	}
	write(w, booking, err, booking.State == Refused || booking.State == Voided)
}

// fingerprint tells one request's body from another without keeping it.
func fingerprint(body bookRequest) string {
	content, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func (s *Server) getByKey(w http.ResponseWriter, r *http.Request) {
	b, err := s.register.find(s.register.byKey, r.PathValue("key"))
	write(w, b, err, false)
}

func (s *Server) getBooking(w http.ResponseWriter, r *http.Request) {
	b, err := s.register.find(s.register.byID, r.PathValue("id"))
	write(w, b, err, false)
}

func (s *Server) listBookings(w http.ResponseWriter, r *http.Request) {
	limit := 100
	var err error
	if v := r.URL.Query().Get("limit"); v != "" {
		limit, err = strconv.Atoi(v)
	}
	if err != nil || limit < 1 || limit > 1000 {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "limit must be 1 to 1000")
		return
	}
	list, more, err := s.register.list(r.URL.Query().Get("reference"), limit)
	if err != nil {
		write(w, Booking{}, err, false)
		return
	}
	if list == nil {
		list = []Booking{}
	}
	answer.JSON(w, http.StatusOK, answer.List[Booking]{Data: list, HasMore: more})
}

func (s *Server) postVoid(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Key string `json:"key"`
	}
	if !answer.Read(w, r, &body) {
		return
	}
	if body.Key == "" || len(body.Key) > 300 {
		answer.Refuse(w, http.StatusBadRequest, "invalid_request", "key is required")
		return
	}
	b, err := s.register.void(body.Key)
	write(w, b, err, false)
}

func (s *Server) postCancel(w http.ResponseWriter, r *http.Request) {
	b, err := s.register.cancel(r.PathValue("id"))
	write(w, b, err, false)
}

func (s *Server) postAdvance(w http.ResponseWriter, r *http.Request) {
	var body struct {
		To string `json:"to"`
	}
	if !answer.Read(w, r, &body) {
		return
	}
	switch body.To {
	case Dispatched, InVan, Delivered, Lost, Returned:
		b, err := s.register.advance(r.PathValue("id"), body.To)
		write(w, b, err, false)
	default:
		answer.Refuse(w, http.StatusUnprocessableEntity, "invalid_request", "to must be dispatched, out_for_delivery, delivered, lost or returned")
	}
}

// write answers with the booking: 200, or 409 if the carrier says no.
func write(w http.ResponseWriter, b Booking, err error, no bool) {
	switch {
	case errors.Is(err, errTooLate) || err == nil && no:
		answer.JSON(w, http.StatusConflict, b)
	case errors.Is(err, errUnknown):
		answer.Refuse(w, http.StatusNotFound, "booking_not_found", "no such booking")
	case errors.Is(err, errKeyReused):
		answer.Refuse(w, http.StatusUnprocessableEntity, "idempotency_key_reused", err.Error())
	case err != nil:
		answer.Refuse(w, http.StatusInternalServerError, "internal", "the register cannot be written")
	default:
		answer.JSON(w, http.StatusOK, b)
	}
}
