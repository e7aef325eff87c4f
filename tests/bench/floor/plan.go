package floor

import (
	"slices"
	"time"
)

// plan is what every service writes for an order that is completed. Coupon is not in it: it leaves nothing
// of an order without coupons.
func plan(cfg Config) []service {
	return []service{
		{name: "order", reads: []string{"stock.v1", "payment.v1", "shipping.v1"}, steps: orderSteps(cfg.OrderTouches)},
		{name: "stock", reads: []string{"order.v1"}, steps: stockSteps()},
		{name: "payment", reads: []string{"stock.v1"}, steps: paymentSteps()},
		{name: "shipping", reads: []string{"order.v1"}, steps: shippingSteps()},
		{name: "mailer", reads: []string{"order.v1"}, steps: mailerSteps()},
		{
			name:  "gateway",
			reads: []string{"order.v1", "stock.v1", "payment.v1", "shipping.v1"},
			steps: gatewaySteps(cfg.GatewayTouches),
		},
	}
}

// orderSteps: with three touches the answers of stock, payment and shipping come in transactions of their
// own; with two, stock's comes in payment's: nobody waits for it, so it is taken along with what comes next.
func orderSteps(touches int) []step {
	key := orderID("order_id")
	stockEvent := text("stock_event", eventID(decreased))
	placed := told("placed", created,
		insert("command", userID("member"), text("key", func(o *order) string { return o.key }),
			text("id", func(o *order) string { return o.command }), bytes("body_hash", func(o *order) []byte { return o.hash }),
			answerColumn(), now("created_at", 0)),
		subject(1), insert("orders", orderColumns()...))
	change := []column{
		same("version", "4"), same("status", "'COMPLETED'"), same("progress", "'SHIPPING'"), now("updated_at", 0),
	}
	completes := consumed(paid, update("orders", key, change...), emitted(2))
	shipped := did("shipment prepared", consumed(prepared,
		update("orders", key, same("version", "5"), same("carrier", "'simulator'"),
			text("tracking_number", func(o *order) string { return o.tracking }), same("shipment_status", "'PREPARED'"),
			now("updated_at", 0)))...)
	if touches == 2 {
		change = append(change, same("stock_decreased", "true"), stockEvent)
		completes = consumed(decreased, consumed(paid, update("orders", key, change...), emitted(2))...)
		return []step{placed, told("stock decreased and paid", completed, completes...), shipped}
	}
	return []step{
		placed,
		did("stock decreased", consumed(decreased,
			update("orders", key, same("version", "2"), same("progress", "'PAYMENT'"), same("stock_decreased", "true"),
				stockEvent, now("updated_at", 0)))...),
		told("paid", completed, completes...),
		shipped,
	}
}

func orderColumns() []column {
	return slices.Concat(
		[]column{orderID("order_id"), userID("user_id"), same("version", "1")},
		words("PENDING", "status"), words("STOCK", "progress"),
		words("", "reason", "cancel_request", "cancel_note", "carrier", "tracking_number", "shipment_status", "stock_event"),
		words("NONE", "undo_payment", "undo_coupon", "undo_stock"),
		constants("false", []string{"stock_decreased", "coupon_answered", "coupon_waived"}),
		[]column{
			same("discount_amount", "0"), same("point_amount", literal(price)), same("payment_amount", "0"),
			now("deadline_at", time.Minute), text("created_event", eventID(created)), now("created_at", 0), now("updated_at", 0),
			json("terms", func(o *order) string {
				return `{"items":[{"productId":"` + o.goods + `","productName":"` + productName + `","quantity":1,"productPrice":` +
					literal(price) + `}],"itemsAmount":` + literal(price) + `,"deliveryFee":0,"currency":"KRW","paymentType":"POINT",` +
					`"couponPolicy":"CANCEL_ORDER","couponTimeout":10000000000,"addressId":"` + o.place + `"}`
			}),
		})
}

// answerColumn is what the command was answered, as it is kept for its key.
func answerColumn() column {
	return column{name: "answer", kind: "bytea[]", each: func(b *batch) any {
		at, deadline := b.at.Format(time.RFC3339Nano), b.at.Add(time.Minute).Format(time.RFC3339Nano)
		tail := `","productName":"` + productName + `","quantity":1,"productPrice":` + literal(price) + `}],"discountAmount":0,` +
			`"deliveryFee":0,"pointAmount":` + literal(price) + `,"paymentAmount":0,"currency":"KRW","paymentType":"POINT",` +
			`"shipment":null,"undo":null,"nextActions":["cancel"],"deadlineAt":"` + deadline + `","createdAt":"` + at +
			`","updatedAt":"` + at + `"}}`
		answers := make([][]byte, len(b.orders))
		for i := range b.orders {
			o := &b.orders[i]
			answers[i] = []byte(`{"status":202,"body":{"orderId":"` + o.id + `","version":1,"userId":"` + o.user +
				`","orderNumber":"0P18-H100-000G","shippingAddressId":"` + o.place + `","status":"PENDING","reason":null,"progress":"STOCK","items":[{"productId":"` + o.goods + tail)
		}
		return answers
	}}
}

func stockSteps() []step {
	return []step{
		told("stock decreased", decreased, consumed(created, subject(1),
			insert("reservation", orderID("order_id"), userID("user_id"), same("state", "'TAKEN'"),
				json("items", func(o *order) string {
					return `[{"productId":"` + o.goods + `","name":"` + productName + `","quantity":1,"price":` + literal(price) + `}]`
				}), now("created_at", 0), now("updated_at", 0)),
			statement{
				sql: `UPDATE product AS t SET quantity = t.quantity - k.n, updated_at = $3
					FROM unnest($1::text[], $2::bigint[]) AS k(id, n) WHERE t.product_id = k.id`,
				args: []func(*batch) any{
					func(b *batch) any { return b.products.names }, func(b *batch) any { return b.products.counts },
					func(b *batch) any { return b.at },
				},
			})...),
	}
}

func paymentSteps() []step {
	return []step{
		told("paid", paid, consumed(decreased, subject(1),
			insert("payment", slices.Concat(
				[]column{orderID("order_id"), text("payment_id", func(o *order) string { return o.payment }), userID("user_id")},
				words("COMPLETED", "state"), words("NONE", "refund"), words("KRW", "currency"), words("PAYMENT_TYPE_POINT", "payment_type"),
				constants("0", []string{"amount", "discount"}), constants("false", []string{"coupon_counted", "has_coupons"}),
				words("", "charge_id", "fail_reason", "cancelled_by", "cancel_event"),
				[]column{
					same("points", literal(price)), text("opened_by", eventID(decreased)), now("created_at", 0), now("updated_at", 0),
				})...),
			insert("ledger", userID("user_id"), same("kind", "'TAKEN'"), orderID("order_id"), same("amount", literal(-price)), now("at", 0)),
			statement{
				sql: `UPDATE points AS t SET balance = t.balance - k.n * ` + literal(price) + `
					FROM unnest($1::text[], $2::bigint[]) AS k(id, n) WHERE t.user_id = k.id`,
				args: []func(*batch) any{
					func(b *batch) any { return b.members.names }, func(b *batch) any { return b.members.counts },
				},
			})...),
	}
}

func shippingSteps() []step {
	return []step{
		did("order completed", consumed(completed, subject(0),
			insert("shipment", slices.Concat(
				[]column{orderID("order_id"), userID("user_id"), text("address_id", func(o *order) string { return o.place })},
				words("BOOKING", "state"), words("", "tracking", "carrier", "booking_id", "tracking_number", "fail_reason"),
				constants("false", []string{"cancel_asked", "cancel_refused"}),
				words("", "cancel_event", "prepared_event", "dispatch_event"),
				[]column{text("completed_event", eventID(completed)), now("created_at", 0), now("updated_at", 0)})...),
			callAsked("book", func(o *order) string {
				return `{"key":"parcel-` + o.id + `","orderId":"` + o.id + `","addressId":"` + o.place + `","items":[{"productId":"` +
					o.goods + `","name":"` + productName + `","quantity":1}]}`
			}))...),
		told("booked", prepared, callAnswered("book"),
			update("shipment", orderID("order_id"), same("state", "'PREPARED'"), same("tracking", "'BOOKED'"), same("carrier", "'simulator'"),
				text("booking_id", func(o *order) string { return o.booking }),
				text("tracking_number", func(o *order) string { return o.tracking }),
				text("prepared_event", eventID(prepared)), now("updated_at", 0), now("prepared_at", 0)),
			insert("parcel_watch", orderID("order_id"), now("due_at", 10*time.Minute)),
			emitted(1)),
	}
}

// mailerSteps: there is nobody to mail, which is noted at once.
func mailerSteps() []step {
	return []step{
		// It has no inbox: the mail's own row says that it was dealt with.
		did("order completed", fence("order.v1"), subject(0),
			insert("mail", orderID("order_id"), same("kind", "'completed'"), userID("user_id"), same("state", "'SKIPPED'"),
				json("data", func(o *order) string {
					return `{"items":[{"productName":"` + productName + `","quantity":1,"productPrice":` + literal(price) +
						`}],"pointAmount":` + literal(price) + `,"currency":"KRW","at":"` + o.at + `"}`
				}), now("created_at", 0), now("updated_at", 0))),
	}
}
