package order

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

// OnMemberChanged takes of a member what order may know: ids of addresses, and which is the default. What is older than
// what is known already, or of somebody who was erased, came late and changes nothing.
func OnMemberChanged(w *World, e *memberv1.MemberChanged, _ flow.Meta) []flow.Event {
	m, known := w.Members.Get(e.GetMemberId())
	at := e.GetChangedAt().AsTime()
	if known && (m.Erased || at.Before(m.ChangedAt)) {
		return nil
	}
	m = Member{UserID: e.GetMemberId(), ChangedAt: at}
	for _, a := range e.GetAddresses() {
		m.AddressIDs = append(m.AddressIDs, a.GetAddressId())
		if a.GetDefault() {
			m.DefaultAddressID = a.GetAddressId()
		}
	}
	w.Members.Put(m.UserID, m)
	return nil
}

// OnMemberErased forgets the addresses and the cart: there is nowhere to send an order of this member to any more.
func OnMemberErased(w *World, e flow.Erased[*memberv1.MemberChanged], m flow.Meta) []flow.Event {
	w.Members.Put(e.SubjectID, Member{UserID: e.SubjectID, ChangedAt: m.Now, Erased: true})
	w.Carts.Put(e.SubjectID, Cart{Erased: true})
	return nil
}
