package shipping

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
)

// Given what is known of a member, when an event comes, then the addresses that are kept; nil: nothing is written.
func TestMembers(t *testing.T) {
	t.Parallel()
	at := func(n int64) time.Time { return time.Unix(n, 0).UTC() }
	home := &memberv1.Address{AddressId: "home", Name: "n", Phone: "p", Line1: "1", Line2: "2", City: "c", PostalCode: "o", Country: "KR", Default: true}
	kept := Address{AddressID: "home", UserID: "m", Name: "n", Phone: "p", Line1: "1", Line2: "2", City: "c", PostalCode: "o", Country: "KR"}
	changed := func(n int64, addresses ...*memberv1.Address) *memberv1.MemberChanged {
		return &memberv1.MemberChanged{MemberId: "m", Name: "n", Email: "e", Addresses: addresses, ChangedAt: timestamppb.New(at(n))}
	}
	known, erased := &Book{UserID: "m", ChangedAt: at(10)}, &Book{UserID: "m", ChangedAt: at(10), Erased: true}
	gone := flow.Erased[*memberv1.MemberChanged]{SubjectID: "m"}
	for _, c := range []struct {
		name  string
		given *Book
		when  any
		then  *Book
	}{
		{"a new member", nil, changed(20, home), &Book{UserID: "m", ChangedAt: at(20), Addresses: []Address{kept}}},
		{"a change", known, changed(20, home), &Book{UserID: "m", ChangedAt: at(20), Addresses: []Address{kept}}},
		{"the same moment", known, changed(10, home), &Book{UserID: "m", ChangedAt: at(10), Addresses: []Address{kept}}},
		{"a change that came late", known, changed(9, home), nil},
		{"no addresses any more", known, changed(11), &Book{UserID: "m", ChangedAt: at(11)}},
		{"erased", known, gone, &Book{UserID: "m", ChangedAt: flowtest.Now, Erased: true}},
		{"erased, before anything was heard of it", nil, gone, &Book{UserID: "m", ChangedAt: flowtest.Now, Erased: true}},
		{"a change of somebody erased", erased, changed(20, home), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := &World{}
			if c.given != nil {
				w.Books.Loaded("m", *c.given)
			}
			if told := flowtest.Told(flowtest.Decide(t, Topology, w, c.when)); told != "" {
				t.Errorf("told %s", told)
			}
			written := w.Books.Changed()
			if c.then == nil {
				if len(written) > 0 {
					t.Errorf("written: %+v", written)
				}
				return
			}
			if len(written) != 1 {
				t.Fatalf("written: %+v", written)
			}
			if diff := cmp.Diff(*c.then, written[0].Row); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An order of the same batch finds the address that came before it.
func TestAddressWithinABatch(t *testing.T) {
	t.Parallel()
	w := &World{}
	flowtest.Decide(t, Topology, w, &memberv1.MemberChanged{MemberId: "m", Addresses: []*memberv1.Address{{AddressId: "home"}}})
	out := flowtest.Decide(t, Topology, w, &orderv1.OrderCompleted{OrderId: "o", UserId: "m", ShippingAddressId: "home"})
	if told := flowtest.Told(out); told != "+book" {
		t.Errorf("told %q", told)
	}
}
