package member

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

// OnRegister makes a member; 409 email_taken if somebody has the e-mail address.
func OnRegister(w *World, c Register, m flow.Meta) (flow.Reply, []flow.Event) {
	if taken(w, c.Email, c.MemberID) {
		return flow.Refuse(emailTaken())
	}
	x := Member{
		MemberID: c.MemberID, Email: c.Email, Name: c.Name, Phone: c.Phone, Language: c.Language,
		PasswordHash: c.PasswordHash, CreatedAt: m.Now,
	}
	own(w, "", c.Email, c.MemberID)
	return made(201, x, ""), put(w, x, m)
}

// OnImport makes a member of a file. One of its e-mail address may be there: then the file is wrong, and says 409.
func OnImport(w *World, c Import, m flow.Meta) (flow.Reply, []flow.Event) {
	x := c.Member
	if _, known := w.Members.Get(x.MemberID); known {
		return made(200, x, ""), nil
	}
	if taken(w, x.Email, x.MemberID) {
		return flow.Refuse(emailTaken())
	}
	x.CreatedAt = m.Now
	own(w, "", x.Email, x.MemberID)
	return made(201, x, ""), put(w, x, m)
}

// OnChange changes what is said of a profile. A change to what it is already emits nothing.
func OnChange(w *World, c Change, m flow.Meta) (flow.Reply, []flow.Event) {
	x, known := w.Members.Get(c.MemberID)
	switch {
	case known && x.Erased, !known && !c.Create:
		return flow.Refuse(fault.NotFound())
	case !known:
		if refusal := c.incomplete(); refusal != nil {
			return flow.Refuse(refusal)
		}
		x = Member{MemberID: c.MemberID, Language: c.DefaultLanguage, CreatedAt: m.Now}
	}
	before := x
	if c.Email != nil && *c.Email != x.Email {
		if taken(w, *c.Email, c.MemberID) {
			return flow.Refuse(emailTaken())
		}
		own(w, x.Email, *c.Email, c.MemberID)
	}
	set(&x.Email, c.Email)
	set(&x.Name, c.Name)
	set(&x.Phone, c.Phone)
	set(&x.Language, c.Language)
	told := !known || x.Email != before.Email || x.Name != before.Name || x.Phone != before.Phone || x.Language != before.Language
	set(&x.PasswordHash, c.PasswordHash)
	switch {
	case told:
		return made(200, x, ""), put(w, x, m)
	case c.PasswordHash != nil:
		put(w, x, m) // nobody else's business
	}
	return made(200, x, ""), nil
}

// incomplete says what the first profile lacks.
func (c Change) incomplete() *fault.Refusal {
	var missing []fault.FieldError
	for _, f := range []struct {
		pointer string
		value   *string
	}{{"/email", c.Email}, {"/name", c.Name}} {
		if f.value == nil {
			missing = append(missing, fault.FieldError{Pointer: f.pointer, Code: fault.CodeMissingField, Detail: "The first profile needs it."})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.Invalid(missing...)
}

// OnErase takes everything personal away, here and, by a null value, wherever there is a copy. The row stays: an id
// that was erased is nobody's for good, also for a token that is still valid.
func OnErase(w *World, c Erase, m flow.Meta) (flow.Reply, []flow.Event) {
	x, known := w.Members.Get(c.MemberID)
	if !known || x.Erased {
		return flow.Refuse(fault.NotFound())
	}
	own(w, x.Email, "", c.MemberID)
	w.Members.Put(c.MemberID, Member{MemberID: c.MemberID, Erased: true, CreatedAt: x.CreatedAt, UpdatedAt: m.Now})
	return flow.Reply{Status: 204}, []flow.Event{flow.Erase(&memberv1.MemberChanged{MemberId: c.MemberID})}
}

func emailTaken() *fault.Refusal {
	return fault.Conflict(fault.CodeEmailTaken, "There is a member with this e-mail address.")
}

// taken says whether somebody else has the address.
func taken(w *World, email, memberID string) bool {
	owner, _ := w.Owners.Get(EmailKey(email))
	return email != "" && owner != "" && owner != memberID
}

// own moves a member from one e-mail address to another, in the index; either may be "".
func own(w *World, from, to, memberID string) {
	if from != "" {
		w.Owners.Put(EmailKey(from), "")
	}
	if to != "" {
		w.Owners.Put(EmailKey(to), memberID)
	}
}

func set(field *string, value *string) {
	if value != nil {
		*field = *value
	}
}

func made(status int, x Member, addressID string) flow.Reply {
	return flow.Reply{Status: status, Body: Made{MemberID: x.MemberID, AddressID: addressID}}
}

// put keeps a member and tells of it, whole: whoever reads the last event of a member knows all there is to know.
func put(w *World, x Member, m flow.Meta) []flow.Event {
	x.UpdatedAt = m.Now
	w.Members.Put(x.MemberID, x)
	e := &memberv1.MemberChanged{
		MemberId: x.MemberID, Name: x.Name, Email: x.Email, Phone: x.Phone, Language: x.Language, ChangedAt: timestamppb.New(m.Now),
	}
	for _, a := range x.Addresses {
		e.Addresses = append(e.Addresses, &memberv1.Address{
			AddressId: a.AddressID, Name: a.Name, Phone: a.Phone, Line1: a.Line1, Line2: a.Line2, City: a.City,
			PostalCode: a.PostalCode, Country: a.Country, Default: a.Default,
		})
	}
	return []flow.Event{e}
}
