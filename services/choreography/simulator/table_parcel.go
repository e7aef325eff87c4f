package simulator

import (
	"github.com/quadrille-io/quadrille/pkg/flow"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/shipping"
)

// shipments is shipping's database.
type shipments struct {
	rows      map[string]shipping.Shipment
	addresses map[string]shipping.Address
}

func newShipments() *shipments {
	return &shipments{rows: map[string]shipping.Shipment{}, addresses: map[string]shipping.Address{}}
}

// locks: shipments are covered by their orders' locks.
func (t *shipments) locks([]flow.Input) []lockKey { return nil }

func (t *shipments) load(w *shipping.World, in []flow.Input) {
	for _, i := range in {
		fetch(&w.Shipments, t.rows, i.Subject)
		if msg, ok := i.Msg.(*orderv1.OrderCompleted); ok {
			fetch(&w.Addresses, t.addresses, msg.GetShippingAddressId())
		}
	}
}

func (t *shipments) save(w *shipping.World) ([]func(), error) {
	changed := w.Shipments.Changed()
	for _, c := range changed {
		s := c.Row
		switch {
		case !s.DispatchedAt.IsZero() && (s.State == shipping.Cancelled || s.State == shipping.Failed):
			return nil, check("dispatched_never_cancelled")
		case !s.DeliveredAt.IsZero() && s.DispatchedAt.IsZero():
			return nil, check("delivered_after_dispatch")
		}
	}
	return []func(){upsert(t.rows, changed)}, nil
}

// mails is mailer's database.
type mails struct{ rows map[string]mailer.Mail }

func newMails() *mails { return &mails{rows: map[string]mailer.Mail{}} }

func (t *mails) locks([]flow.Input) []lockKey { return nil }

func (t *mails) load(w *mailer.World, in []flow.Input) {
	for _, i := range in {
		kind := mailer.Kind("")
		switch msg := i.Msg.(type) {
		case mailer.Mailed:
			kind = msg.Kind
		case flow.Event:
			kind = mailer.KindOf(string(msg.ProtoReflect().Descriptor().FullName()))
		}
		fetch(&w.Mails, t.rows, mailer.MailKey(i.Subject, kind))
	}
}

func (t *mails) save(w *mailer.World) ([]func(), error) {
	return []func(){upsert(t.rows, w.Mails.Changed())}, nil
}
