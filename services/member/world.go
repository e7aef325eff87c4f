// Package member decides over members: their profiles, their address books, and their end. It is the only service
// whose events carry personal data. Everything here is a pure function of the World and one input; no clock, no I/O.
package member

import (
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// World is what the decisions of one batch see and change.
//
// What Load brings, per input: the Members row, and for an input with an e-mail address, Owners of its EmailKey. The
// keys are locked, also those that nobody has yet, so of two who want one address the second finds the first.
type World struct {
	// Members by member id.
	Members flow.Rows[string, Member]
	// Owners are the member ids by EmailKey; "": the address is free again. It is an index over Members that Load
	// fills, decisions keep up to date and Save leaves alone.
	Owners flow.Rows[string, string]
}

// Member is one member. An erased one keeps its id, so that it is never given to anybody else, and nothing more.
type Member struct {
	MemberID string
	Name     string
	// Email as the member wrote it; unique by EmailKey. "": none.
	Email string
	Phone string
	// Language for mails, BCP 47.
	Language string
	// PasswordHash in PHC format; "": no session by password.
	PasswordHash string
	// Addresses in the order in which they were added; at most one is the default.
	Addresses []Address
	Erased    bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Address is one entry of an address book.
type Address struct {
	AddressID  string
	Name       string
	Phone      string
	Line1      string
	Line2      string
	City       string
	PostalCode string
	// Country is ISO 3166-1 alpha-2.
	Country string
	Default bool
}

// EmailKey is what makes two spellings of an e-mail address one: no two members have the same. (The part before the @
// may tell upper from lower case by the standard, and does so nowhere.)
func EmailKey(email string) string { return strings.ToLower(email) }
