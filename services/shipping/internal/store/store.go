// Package store is shipping's SQL: whole batches in and out for decisions (store.go), the copy of the
// members' addresses (address.go), single questions for readers (read.go).
package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	"github.com/quadrille-io/quadrille/services/shipping"
)

// Store loads and saves a shipping.World.
type Store struct {
	// LookAfter is how long after the last news of a parcel the carrier is first asked for more, about; 0 is 10 min.
	LookAfter time.Duration
}

// Load brings the orders' shipments, of completed orders the addresses, and as of when members' addresses are known.
func (Store) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*shipping.World, error) {
	world, b := &shipping.World{}, &pg.Batch{}
	orders, addresses, users := map[string]struct{}{}, map[string]struct{}{}, map[string]struct{}{}
	for _, i := range in {
		switch msg := i.Msg.(type) {
		case *memberv1.MemberChanged, flow.Erased[*memberv1.MemberChanged]:
			users[i.Subject] = struct{}{}
			continue
		case *orderv1.OrderCompleted:
			addresses[msg.GetShippingAddressId()] = struct{}{}
		}
		orders[i.Subject] = struct{}{}
	}
	loadShipments(b, world, sorted(orders))
	loadAddresses(b, world, sorted(addresses))
	loadBooks(b, world, sorted(users))
	if err := tx.Send(ctx, b); err != nil {
		return nil, err
	}
	expect(world, in)
	return world, nil
}

// expect takes addresses that are not there for ones that are on their way: member.v1 and order.v1 have no order between
// them, and order has seen the address, or there would be no order. Whoever books looks again; see package service.
func expect(w *shipping.World, in []flow.Input) {
	for _, i := range in {
		if e, is := i.Msg.(*orderv1.OrderCompleted); is && e.GetShippingAddressId() != "" {
			if _, there := w.Addresses.Get(e.GetShippingAddressId()); !there {
				w.Addresses.Loaded(e.GetShippingAddressId(), shipping.Address{AddressID: e.GetShippingAddressId(), UserID: e.GetUserId()})
			}
		}
	}
}

func sorted(set map[string]struct{}) []string { return slices.Sorted(maps.Keys(set)) }

const shipmentColumns = `order_id, user_id, address_id, state, tracking, carrier, booking_id, tracking_number, fail_reason,
	cancel_asked, cancel_refused, completed_event, cancel_event, prepared_event, dispatch_event,
	created_at, updated_at, prepared_at, dispatched_at, delivered_at`

func scanShipment(row pgx.CollectableRow) (shipping.Shipment, error) {
	var s shipping.Shipment
	var prepared, dispatched, delivered *time.Time
	err := row.Scan(&s.OrderID, &s.UserID, &s.AddressID, &s.State, &s.Tracking, &s.Carrier, &s.BookingID, &s.TrackingNumber,
		&s.FailReason, &s.CancelAsked, &s.CancelRefused, &s.CompletedEvent, &s.CancelEvent, &s.PreparedEvent, &s.DispatchEvent,
		&s.CreatedAt, &s.UpdatedAt, &prepared, &dispatched, &delivered)
	s.CreatedAt, s.UpdatedAt = s.CreatedAt.UTC(), s.UpdatedAt.UTC()
	s.PreparedAt, s.DispatchedAt, s.DeliveredAt = orZero(prepared), orZero(dispatched), orZero(delivered)
	return s, err
}

// orZero and orNull turn NULL into the zero time and back.
func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func loadShipments(b *pg.Batch, w *shipping.World, orders []string) {
	if len(orders) > 0 {
		pg.Collect(b, "load shipments", scanShipment, func(s shipping.Shipment) { w.Shipments.Loaded(s.OrderID, s) },
			`SELECT `+shipmentColumns+` FROM shipment WHERE order_id = ANY($1) ORDER BY order_id FOR NO KEY UPDATE`, orders)
	}
}

// Save writes shipments, what was told of them, which are asked about, and address books.
func (st Store) Save(b *pg.Batch, w *shipping.World) error {
	changed := w.Shipments.Changed()
	saveShipments(b, changed)
	saveHistory(b, w.History.Changed())
	saveWatches(b, changed, st.LookAfter)
	saveBooks(b, w.Books.Changed())
	return nil
}

// column picks one value of every row, for unnest.
func column[R, T any](rows []R, pick func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = pick(r)
	}
	return out
}

func saveShipments(b *pg.Batch, rows []flow.Change[string, shipping.Shipment]) {
	if len(rows) == 0 {
		return
	}
	text := func(pick func(shipping.Shipment) string) []string {
		return column(rows, func(c flow.Change[string, shipping.Shipment]) string { return pick(c.Row) })
	}
	flag := func(pick func(shipping.Shipment) bool) []bool {
		return column(rows, func(c flow.Change[string, shipping.Shipment]) bool { return pick(c.Row) })
	}
	at := func(pick func(shipping.Shipment) time.Time) []*time.Time {
		return column(rows, func(c flow.Change[string, shipping.Shipment]) *time.Time { return orNull(pick(c.Row)) })
	}
	b.Queue("save shipments", `
		INSERT INTO shipment (`+shipmentColumns+`)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
			$10::boolean[], $11::boolean[], $12::text[], $13::text[], $14::text[], $15::text[],
			$16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::timestamptz[])
		ON CONFLICT (order_id) DO UPDATE SET
			address_id = EXCLUDED.address_id, state = EXCLUDED.state, tracking = EXCLUDED.tracking, carrier = EXCLUDED.carrier,
			booking_id = EXCLUDED.booking_id, tracking_number = EXCLUDED.tracking_number, fail_reason = EXCLUDED.fail_reason,
			cancel_asked = EXCLUDED.cancel_asked, cancel_refused = EXCLUDED.cancel_refused,
			completed_event = EXCLUDED.completed_event, cancel_event = EXCLUDED.cancel_event,
			prepared_event = EXCLUDED.prepared_event, dispatch_event = EXCLUDED.dispatch_event, updated_at = EXCLUDED.updated_at,
			prepared_at = EXCLUDED.prepared_at, dispatched_at = EXCLUDED.dispatched_at, delivered_at = EXCLUDED.delivered_at`,
		text(func(s shipping.Shipment) string { return s.OrderID }),
		text(func(s shipping.Shipment) string { return s.UserID }),
		text(func(s shipping.Shipment) string { return s.AddressID }),
		text(func(s shipping.Shipment) string { return string(s.State) }),
		text(func(s shipping.Shipment) string { return string(s.Tracking) }),
		text(func(s shipping.Shipment) string { return s.Carrier }),
		text(func(s shipping.Shipment) string { return s.BookingID }),
		text(func(s shipping.Shipment) string { return s.TrackingNumber }),
		text(func(s shipping.Shipment) string { return s.FailReason }),
		flag(func(s shipping.Shipment) bool { return s.CancelAsked }),
		flag(func(s shipping.Shipment) bool { return s.CancelRefused }),
		text(func(s shipping.Shipment) string { return s.CompletedEvent }),
		text(func(s shipping.Shipment) string { return s.CancelEvent }),
		text(func(s shipping.Shipment) string { return s.PreparedEvent }),
		text(func(s shipping.Shipment) string { return s.DispatchEvent }),
		column(rows, func(c flow.Change[string, shipping.Shipment]) time.Time { return c.Row.CreatedAt }),
		column(rows, func(c flow.Change[string, shipping.Shipment]) time.Time { return c.Row.UpdatedAt }),
		at(func(s shipping.Shipment) time.Time { return s.PreparedAt }),
		at(func(s shipping.Shipment) time.Time { return s.DispatchedAt }),
		at(func(s shipping.Shipment) time.Time { return s.DeliveredAt }))
}
