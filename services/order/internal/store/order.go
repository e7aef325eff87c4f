package store

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/order"
)

var keyColumn = text("order_id", func(o *order.Order) *string { return &o.OrderID })

// fixed are written once, when the order is placed.
var fixed = []column{
	text("user_id", func(o *order.Order) *string { return &o.UserID }),
	text("created_event", func(o *order.Order) *string { return &o.CreatedEvent }),
	moment("created_at", func(o *order.Order) *time.Time { return &o.CreatedAt }),
	termsColumn(),
}

// moving change while the order moves.
var moving = []column{
	number("version", func(o *order.Order) *int64 { return &o.Version }),
	text("status", func(o *order.Order) *order.Status { return &o.Status }),
	text("progress", func(o *order.Order) *order.Progress { return &o.Progress }),
	text("reason", func(o *order.Order) *order.Reason { return &o.Reason }),
	number("discount_amount", func(o *order.Order) *int64 { return &o.DiscountAmount }),
	number("point_amount", func(o *order.Order) *int64 { return &o.PointAmount }),
	number("payment_amount", func(o *order.Order) *int64 { return &o.PaymentAmount }),
	moment("deadline_at", func(o *order.Order) *time.Time { return &o.DeadlineAt }),
	moment("coupon_deadline_at", func(o *order.Order) *time.Time { return &o.CouponDeadlineAt }),
	flag("stock_decreased", func(o *order.Order) *bool { return &o.StockDecreased }),
	flag("coupon_answered", func(o *order.Order) *bool { return &o.CouponAnswered }),
	flag("coupon_waived", func(o *order.Order) *bool { return &o.CouponWaived }),
	text("cancel_request", func(o *order.Order) *order.CancelRequest { return &o.CancelRequest }),
	text("cancel_note", func(o *order.Order) *string { return &o.CancelNote }),
	text("undo_payment", func(o *order.Order) *order.Undo { return &o.UndoPayment }),
	text("undo_coupon", func(o *order.Order) *order.Undo { return &o.UndoCoupon }),
	text("undo_stock", func(o *order.Order) *order.Undo { return &o.UndoStock }),
	text("carrier", func(o *order.Order) *string { return &o.Carrier }),
	text("tracking_number", func(o *order.Order) *string { return &o.TrackingNumber }),
	text("shipment_status", func(o *order.Order) *string { return &o.ShipmentStatus }),
	text("stock_event", func(o *order.Order) *string { return &o.StockEvent }),
	moment("updated_at", func(o *order.Order) *time.Time { return &o.UpdatedAt }),
}

var (
	allColumns  = append(append([]column{keyColumn}, fixed...), moving...)
	changeable  = append([]column{keyColumn}, moving...)
	orderSelect = `SELECT ` + names(allColumns, "") + ` FROM orders `
	orderInsert = `INSERT INTO orders (` + names(allColumns, "") + `) SELECT ` + cast(allColumns) +
		` FROM unnest(` + parameters(allColumns) + `) AS k(` + names(allColumns, "") + `)`
	orderUpdate = `UPDATE orders o SET ` + assignments(moving) +
		` FROM unnest(` + parameters(changeable) + `) AS k(` + names(changeable, "") + `) WHERE o.order_id = k.order_id`
)

func cast(columns []column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = "k." + c.name + c.cast
	}
	return strings.Join(list, ", ")
}

func assignments(columns []column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.name + " = k." + c.name + c.cast
	}
	return strings.Join(list, ", ")
}

func scanOrder(row pgx.CollectableRow) (order.Order, error) {
	var o order.Order
	targets := make([]any, len(allColumns))
	for i, c := range allColumns {
		targets[i] = c.target(&o)
	}
	err := row.Scan(targets...)
	return o, err
}

func loadOrders(b *pg.Batch, w *order.World, ids []string) {
	if len(ids) > 0 {
		pg.Collect(b, "load orders", scanOrder, func(o order.Order) { w.Orders.Loaded(o.OrderID, o) },
			orderSelect+`WHERE order_id = ANY($1) ORDER BY order_id`, ids)
	}
}

// saveOrders writes new orders whole and the others without what never changes.
func saveOrders(b *pg.Batch, changes []flow.Change[string, order.Order]) {
	var fresh, changed []order.Order
	for _, c := range changes {
		if c.New {
			fresh = append(fresh, c.Row)
		} else {
			changed = append(changed, c.Row)
		}
	}
	if len(fresh) > 0 {
		b.Queue("add orders", orderInsert, arrays(allColumns, fresh)...)
	}
	if len(changed) > 0 {
		b.Queue("change orders", orderUpdate, arrays(changeable, changed)...)
	}
}
