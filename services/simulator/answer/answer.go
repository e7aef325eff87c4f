// Package answer reads and writes the JSON the simulated providers speak.
package answer

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// Error is the body of everything that is refused: {"error":{"code","message"}}.
type Error struct {
	Error Detail `json:"error"`
}

// Detail names the reason in a stable word and explains it in a sentence.
type Detail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// List is the body of every list.
type List[T any] struct {
	Data    []T  `json:"data"`
	HasMore bool `json:"hasMore"`
}

// JSON writes a value with a status.
func JSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a caller that hung up asked for nothing more
}

// Refuse writes an Error with a status.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	JSON(w, status, Error{Detail{Code: code, Message: message}})
}

// Read decodes a request of at most 64 KiB into dst, refusing unknown fields.
// If it cannot, it has answered 400 and returns false.
func Read(w http.ResponseWriter, r *http.Request, dst any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(dst); err != nil {
		Refuse(w, http.StatusBadRequest, "invalid_json", "the body is not the JSON object this call wants")
		return false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		Refuse(w, http.StatusBadRequest, "invalid_json", "something follows the JSON object")
		return false
	}
	return true
}

// Key returns the request's Idempotency-Key (1 to 300 characters). If there is
// none it has answered 400 and returns "".
func Key(w http.ResponseWriter, r *http.Request) string {
	key := r.Header.Get("Idempotency-Key")
	if key == "" || len(key) > 300 {
		Refuse(w, http.StatusBadRequest, "idempotency_key_required", "send an Idempotency-Key of 1 to 300 characters")
		return ""
	}
	return key
}
