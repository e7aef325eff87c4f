package order

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

// Given what is known of a member, when an event comes, then the ids that are known, and nothing else of the event.
func TestMembers(t *testing.T) {
	t.Parallel()
	at := func(n int64) time.Time { return time.Unix(n, 0).UTC() }
	changed := func(n int64, addresses ...*memberv1.Address) *memberv1.MemberChanged {
		return &memberv1.MemberChanged{MemberId: "m", Name: "n", Email: "e", Phone: "p", Addresses: addresses, ChangedAt: timestamppb.New(at(n))}
	}
	home, work := &memberv1.Address{AddressId: "home", Line1: "1 Road"}, &memberv1.Address{AddressId: "work", Default: true}
	known := &Member{UserID: "m", AddressIDs: []string{"home"}, DefaultAddressID: "home", ChangedAt: at(10)}
	erased := &Member{UserID: "m", Erased: true, ChangedAt: at(10)}
	both := &Member{UserID: "m", AddressIDs: []string{"home", "work"}, DefaultAddressID: "work", ChangedAt: at(20)}
	for _, c := range []struct {
		name  string
		given *Member
		when  any
		then  *Member
	}{
		{"a new member", nil, changed(20, home, work), both},
		{"a change", known, changed(20, home, work), both},
		{"the same again", both, changed(20, home, work), both},
		{"a change that came late", known, changed(9, work), known},
		{"no addresses any more", known, changed(11), &Member{UserID: "m", ChangedAt: at(11)}},
		{"an event without a time, of a new member", nil, &memberv1.MemberChanged{MemberId: "m"}, &Member{UserID: "m", ChangedAt: at(0)}},
		{"erased", known, flow.Erased[*memberv1.MemberChanged]{SubjectID: "m"}, &Member{UserID: "m", Erased: true, ChangedAt: flowtest.Now}},
		{"erased, before anything was heard of it", nil, flow.Erased[*memberv1.MemberChanged]{SubjectID: "m"}, &Member{UserID: "m", Erased: true, ChangedAt: flowtest.Now}},
		{"a change of somebody erased", erased, changed(20, work), erased},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := &World{}
			if c.given != nil {
				w.Members.Loaded("m", *c.given)
			}
			if told := flowtest.Told(flowtest.Decide(t, Topology, w, c.when)); told != "" {
				t.Errorf("told %s", told)
			}
			got, _ := w.Members.Get("m")
			if diff := cmp.Diff(*c.then, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
