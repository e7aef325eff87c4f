package service

import (
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// Whatever a body says: it is refused, or it is a time of this era that can be stored and shown.
func FuzzReplay(f *testing.F) {
	for _, body := range []string{
		`{"from":"2026-11-21","reason":"r"}`, `{"from":"2026-11-21T09:00:00+09:00","reason":"r"}`, `{"from":"0000-01-01","reason":"r"}`,
		`{"from":"9999-12-31T23:59:59-23:59","reason":"r"}`, `{"from":"","reason":""}`, `{"from":1}`, `{"reason":"r"}`, `[]`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r replayRequest
		if rig.Decode(body, &r) != nil {
			return
		}
		from, err := r.check()
		if err != nil {
			return
		}
		if _, offset := from.Zone(); offset != 0 || from.Year() < 2000 || from.Year() > 9999 || r.Reason == "" {
			t.Fatalf("%s was taken as %v", body, from)
		}
		if _, err := time.Parse(time.RFC3339, from.Format(time.RFC3339)); err != nil {
			t.Fatalf("%s makes a time that nobody can read: %v", body, err)
		}
	})
}
