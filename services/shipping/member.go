package shipping

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

// Book is a member's address book as of a moment. Load brings it without the addresses: a decision replaces all of them.
type Book struct {
	UserID    string
	ChangedAt time.Time
	// Erased: there are no addresses, and there never will be again.
	Erased    bool
	Addresses []Address
}

// OnMemberChanged takes over the addresses. What is older than what is known already, or of somebody who was erased,
// came late and changes nothing.
func OnMemberChanged(w *World, e *memberv1.MemberChanged, _ flow.Meta) []flow.Event {
	b, known := w.Books.Get(e.GetMemberId())
	at := e.GetChangedAt().AsTime()
	if known && (b.Erased || at.Before(b.ChangedAt)) {
		return nil
	}
	b = Book{UserID: e.GetMemberId(), ChangedAt: at}
	for _, a := range e.GetAddresses() {
		b.Addresses = append(b.Addresses, Address{
			AddressID: a.GetAddressId(), UserID: b.UserID, Name: a.GetName(), Phone: a.GetPhone(), Line1: a.GetLine1(),
			Line2: a.GetLine2(), City: a.GetCity(), PostalCode: a.GetPostalCode(), Country: a.GetCountry(),
		})
	}
	w.Books.Put(b.UserID, b)
	for _, a := range b.Addresses {
		w.Addresses.Put(a.AddressID, a) // for the orders of the same batch
	}
	return nil
}

// OnMemberErased forgets the addresses. A parcel that is booked is the carrier's.
func OnMemberErased(w *World, e flow.Erased[*memberv1.MemberChanged], m flow.Meta) []flow.Event {
	w.Books.Put(e.SubjectID, Book{UserID: e.SubjectID, ChangedAt: m.Now, Erased: true})
	return nil
}
