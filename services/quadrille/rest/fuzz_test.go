package rest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// FuzzEvents: a stream is read to its end whatever a server says, and what was sent as an event comes out as it was.
func FuzzEvents(f *testing.F) {
	f.Add("id: 1\nevent: x\ndata: {}\n\n", "7", "Type", `{"a":1}`)
	f.Add(": heartbeat\n\n", "", "", "a")
	f.Add("data\n\ndata:\ndata: a\n\n\n", "a:b", " x", " ")
	f.Add("data: a", "1", "t", "x")
	f.Add("\r\n\r\n", "\u2028", ":", "::")
	f.Fuzz(func(t *testing.T, before, id, typ, data string) {
		if strings.ContainsAny(id+typ+data, "\r\n") || data == "" || len(before)+len(data) > 1<<19 {
			return // no server of ours sends that
		}
		var got []StreamEvent
		sent := fmt.Sprintf("%s\n\nid: %s\nevent: %s\ndata: %s\n\n", before, id, typ, data)
		if err := readEvents(strings.NewReader(sent), func(e StreamEvent) error { got = append(got, e); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 || got[len(got)-1].ID != id || got[len(got)-1].Type != typ || string(got[len(got)-1].Data) != data {
			t.Fatalf("%q is read as %+v", sent, got)
		}
		stop := errors.New("stop")
		if err := readEvents(strings.NewReader(sent), func(StreamEvent) error { return stop }); !errors.Is(err, stop) {
			t.Fatalf("goes on: %v", err)
		}
	})
}

// FuzzProblem: every answer that is not good has a status and something to say.
func FuzzProblem(f *testing.F) {
	f.Add(400, []byte(`{"status":400,"code":"invalid_json","detail":"d","errors":[{"pointer":"/a","code":"c","detail":"d"}]}`))
	f.Add(502, []byte("<html>Bad Gateway"))
	f.Add(503, []byte(nil))
	f.Add(404, []byte(`{"status":"404"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		p := Response{Status: status, Body: body}.Problem()
		if p == nil || p.Error() == "" || p.Status == 0 && status != 0 {
			t.Fatalf("%d %q is %+v", status, body, p)
		}
	})
}
