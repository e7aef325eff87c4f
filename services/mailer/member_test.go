package mailer

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

// What members' events say of contacts is told on to Save in their order; of a member's address book nothing is.
func TestMembers(t *testing.T) {
	t.Parallel()
	at := time.Unix(10, 0).UTC()
	w := &World{}
	for _, m := range []any{
		&memberv1.MemberChanged{
			MemberId: "kim", Name: "Kim", Email: "kim@shop.example", Phone: "02", Language: "ko", ChangedAt: timestamppb.New(at),
			Addresses: []*memberv1.Address{{AddressId: "home", Line1: "1 Road"}},
		},
		flow.Erased[*memberv1.MemberChanged]{SubjectID: "lee"},
	} {
		if told := flowtest.Told(flowtest.Decide(t, Topology, w, m)); told != "" {
			t.Errorf("told %s", told)
		}
	}
	want := []NewContact{
		{MemberID: "kim", Name: "Kim", Email: "kim@shop.example", Language: "ko", ChangedAt: at},
		{MemberID: "lee", ChangedAt: flowtest.Now, Erased: true},
	}
	if diff := cmp.Diff(want, w.Contacts); diff != "" {
		t.Error(diff)
	}
}

// An order of the batch in which its member first turns up is mailed; one of a member without an address is not.
func TestContactWithinABatch(t *testing.T) {
	t.Parallel()
	for email, want := range map[string]string{"kim@shop.example": "+mail_completed", "": ""} {
		w := &World{Strangers: map[string]bool{"kim": true}}
		flowtest.Decide(t, Topology, w, &memberv1.MemberChanged{MemberId: "kim", Email: email})
		if told := flowtest.Told(flowtest.Decide(t, Topology, w, &orderv1.OrderCompleted{OrderId: "o", UserId: "kim"})); told != want {
			t.Errorf("%q: told %q, want %q", email, told, want)
		}
	}
}
