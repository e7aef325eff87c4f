package flow_test

import (
	"testing"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// A listener with conditions is concerned by what all of them hold for, and one without by everything.
func TestListenConditions(t *testing.T) {
	t.Parallel()
	type world struct{}
	listen := func(conditions ...func(flow.Record) bool) *flow.Definition[world] {
		return flow.Service("gateway", flow.Listen([]string{"order.v1"},
			func(*world, flow.Record, flow.Meta) []flow.Event { return nil }, conditions...))
	}
	ofType := func(name string) func(flow.Record) bool { return func(r flow.Record) bool { return r.Type == name } }
	about := func(id string) func(flow.Record) bool { return func(r flow.Record) bool { return r.SubjectID == id } }
	for _, c := range []struct {
		d    *flow.Definition[world]
		r    flow.Record
		want bool
	}{
		{listen(), flow.Record{Type: "a"}, true},
		{listen(ofType("a")), flow.Record{Type: "a"}, true},
		{listen(ofType("a")), flow.Record{Type: "b"}, false},
		{listen(ofType("a"), about("o")), flow.Record{Type: "a", SubjectID: "o"}, true},
		{listen(ofType("a"), about("o")), flow.Record{Type: "a", SubjectID: "p"}, false},
	} {
		if got := c.d.Concerns(c.r); got != c.want {
			t.Errorf("%+v concerns: %t", c.r, got)
		}
	}
}
