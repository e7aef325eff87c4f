package mailer

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

// NewContact is what an event says of where a member's mails go. Save writes it unless what stands there is newer, or
// the member was erased.
type NewContact struct {
	MemberID  string
	Email     string
	Name      string
	Language  string // BCP 47
	ChangedAt time.Time
	// Erased: nothing stands there, and nothing ever will again.
	Erased bool
}

// OnMemberChanged takes over where mails go, and in which language.
func OnMemberChanged(w *World, e *memberv1.MemberChanged, _ flow.Meta) []flow.Event {
	w.Contacts = append(w.Contacts, NewContact{
		MemberID: e.GetMemberId(), Email: e.GetEmail(), Name: e.GetName(), Language: e.GetLanguage(), ChangedAt: e.GetChangedAt().AsTime(),
	})
	if e.GetEmail() != "" {
		delete(w.Strangers, e.GetMemberId()) // an order of the same batch has somebody to write to
	}
	return nil
}

// OnMemberErased forgets where mails went. Mails that are under way find nobody to write to.
func OnMemberErased(w *World, e flow.Erased[*memberv1.MemberChanged], m flow.Meta) []flow.Event {
	w.Contacts = append(w.Contacts, NewContact{MemberID: e.SubjectID, ChangedAt: m.Now, Erased: true})
	return nil
}
