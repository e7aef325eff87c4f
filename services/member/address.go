package member

import (
	"fmt"
	"slices"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// OnAddAddress adds an address; 422 address_limit_reached if the book is full.
func OnAddAddress(w *World, c AddAddress, m flow.Meta) (flow.Reply, []flow.Event) {
	x, refusal := present(w, c.MemberID)
	if refusal != nil {
		return flow.Refuse(refusal)
	}
	if len(x.Addresses) >= c.Limit {
		return flow.Refuse(fault.Unprocessable(fault.CodeAddressLimitReached, fmt.Sprintf("An address book has at most %d addresses.", c.Limit)))
	}
	a := c.Address
	if !c.Choice {
		a.Default = len(x.Addresses) == 0
	}
	// Rows are values: their slices are replaced, never changed in place.
	x.Addresses = append(slices.Clone(x.Addresses), a)
	oneDefault(x.Addresses, a)
	return made(201, x, a.AddressID), put(w, x, m)
}

// OnChangeAddress changes what is said of an address. One that becomes the default takes that from the other.
func OnChangeAddress(w *World, c ChangeAddress, m flow.Meta) (flow.Reply, []flow.Event) {
	x, refusal := present(w, c.MemberID)
	if refusal != nil {
		return flow.Refuse(refusal)
	}
	i := slices.IndexFunc(x.Addresses, func(a Address) bool { return a.AddressID == c.AddressID })
	if i < 0 {
		return flow.Refuse(fault.NotFound())
	}
	a := x.Addresses[i]
	set(&a.Name, c.Name)
	set(&a.Phone, c.Phone)
	set(&a.Line1, c.Line1)
	set(&a.Line2, c.Line2)
	set(&a.City, c.City)
	set(&a.PostalCode, c.PostalCode)
	set(&a.Country, c.Country)
	if c.Default != nil {
		a.Default = *c.Default
	}
	if a == x.Addresses[i] {
		return made(200, x, a.AddressID), nil
	}
	x.Addresses = slices.Clone(x.Addresses)
	x.Addresses[i] = a
	oneDefault(x.Addresses, a)
	return made(200, x, a.AddressID), put(w, x, m)
}

// OnRemoveAddress takes an address out of the book. Where it was the default, none is: which of the others should be
// is not ours to guess.
func OnRemoveAddress(w *World, c RemoveAddress, m flow.Meta) (flow.Reply, []flow.Event) {
	x, refusal := present(w, c.MemberID)
	if refusal != nil {
		return flow.Refuse(refusal)
	}
	kept := slices.DeleteFunc(slices.Clone(x.Addresses), func(a Address) bool { return a.AddressID == c.AddressID })
	if len(kept) == len(x.Addresses) {
		return flow.Refuse(fault.NotFound())
	}
	x.Addresses = kept
	return flow.Reply{Status: 204}, put(w, x, m)
}

// present finds a member who is not erased.
func present(w *World, memberID string) (Member, *fault.Refusal) {
	x, known := w.Members.Get(memberID)
	if !known || x.Erased {
		return x, fault.NotFound()
	}
	return x, nil
}

// oneDefault leaves a the only default if it is one.
func oneDefault(book []Address, a Address) {
	for i := range book {
		book[i].Default = book[i].Default && (!a.Default || book[i].AddressID == a.AddressID)
	}
}
