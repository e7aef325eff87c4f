package gateway

import (
	"fmt"
	"strconv"
	"strings"

	couponv1 "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	shippingv1 "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// Summary is one line about an event for a person: amounts, items, reasons. No ids of members, no tokens.
func Summary(e Event) string {
	message := decode(e)
	if message == nil {
		return "cannot be read here: " + e.Type
	}
	switch m := message.(type) {
	case *orderv1.OrderCreated:
		return fmt.Sprintf("%s; %s to pay by %s%s", items(m.GetOrderItems()),
			Money(m.GetCheckout().GetPaymentAmount(), m.GetCheckout().GetCurrency()),
			word(m.GetCheckout().GetPaymentType().String(), "PAYMENT_TYPE_"), extras(m.GetCheckout()))
	case *orderv1.OrderCouponWaived:
		return "no answer about the coupons in time: goes on at full price"
	case *orderv1.OrderCompleted:
		return "paid " + Money(m.GetPaymentAmount(), m.GetCurrency()) + "; to be shipped"
	case *orderv1.OrderCancelRequested:
		return "to be cancelled if the parcel can still be stopped"
	case *orderv1.OrderCancelled:
		return "cancelled, " + reasonName(m.GetReason()) + "; " + undoText(m)
	case *paymentv1.PaymentCompleted:
		return paid(m)
	case *paymentv1.PaymentFailed:
		return "nothing taken: " + m.GetReason()
	case *paymentv1.PaymentCancelled:
		return cancelledPayment(m)
	case *paymentv1.PaymentRefunded:
		return "the provider confirmed the refund of " + Money(m.GetPaymentAmount(), m.GetCurrency())
	case *paymentv1.RefundFailed:
		return fmt.Sprintf("the provider refused the refund of %s: %s; a person has to act", Money(m.GetPaymentAmount(), m.GetCurrency()), m.GetReason())
	default:
		return goods(e)
	}
}

// goods summarises what stock, coupon and shipping say.
func goods(e Event) string {
	switch m := decode(e).(type) {
	case *stockv1.StockDecreased:
		return "took " + items(m.GetOrderItems())
	case *stockv1.StockDecreaseFailed:
		return "took nothing: " + shortages(m.GetShortages())
	case *stockv1.StockIncreased:
		if len(m.GetOrderItems()) == 0 {
			return "nothing had been taken"
		}
		return "took back " + items(m.GetOrderItems())
	case *couponv1.CouponUsed:
		return fmt.Sprintf("%s used, %s off", count(len(m.GetCouponIds()), "coupon"), Money(m.GetDiscountAmount(), m.GetCheckout().GetCurrency()))
	case *couponv1.CouponUseFailed:
		return "refused: " + word(m.GetReason().String(), "COUPON_USE_FAIL_REASON_") + "; " + policyText(m.GetCouponFailurePolicy())
	case *couponv1.CouponReturned:
		return count(len(m.GetCouponIds()), "coupon") + " given back: the order went on without"
	case *couponv1.CouponUseCancelled:
		if len(m.GetCouponIds()) == 0 {
			return "no coupon had been used"
		}
		return count(len(m.GetCouponIds()), "coupon") + " given back"
	case *shippingv1.ShipmentPrepared:
		return "booked with " + m.GetCarrier() + ", " + m.GetTrackingNumber()
	case *shippingv1.ShipmentFailed:
		return "no parcel will be sent: " + m.GetReason()
	case *shippingv1.ShipmentDispatched:
		return "on its way with " + m.GetCarrier() + ", " + m.GetTrackingNumber()
	case *shippingv1.ShipmentDelivered:
		return "delivered by " + m.GetCarrier()
	case *shippingv1.ShipmentCancelled:
		return "the carrier stopped the parcel"
	case *shippingv1.ShipmentCancelRefused:
		return "too late: the parcel is on its way"
	}
	return product(e)
}

// product summarises a product's own events.
func product(e Event) string {
	switch m := decode(e).(type) {
	case *stockv1.ProductListed:
		return fmt.Sprintf("%s at %s, %s", m.GetName(), Money(m.GetPrice(), m.GetCurrency()), count(int(m.GetQuantity()), "piece"))
	case *stockv1.ProductPriceChanged:
		return m.GetName() + " now at " + Money(m.GetPrice(), m.GetCurrency())
	case *stockv1.StockRestocked:
		return fmt.Sprintf("%s added, %d there now", count(int(m.GetQuantity()), "piece"), m.GetAvailable())
	case *stockv1.LowStockReached:
		return fmt.Sprintf("%d left, threshold %d", m.GetAvailable(), m.GetThreshold())
	}
	return ""
}

func items(list []*orderv1.OrderItem) string {
	parts := make([]string, 0, len(list))
	for i, item := range list {
		if i == 5 {
			parts = append(parts, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%d × %s", item.GetQuantity(), item.GetProductId()))
	}
	return strings.Join(parts, ", ")
}

// limits are why a product was not given although there may have been enough of it.
var limits = map[stockv1.ShortageReason]string{
	stockv1.ShortageReason_SHORTAGE_REASON_FROZEN:          " (frozen)",
	stockv1.ShortageReason_SHORTAGE_REASON_NOT_ON_SALE_YET: " (not on sale yet)",
	stockv1.ShortageReason_SHORTAGE_REASON_SALE_OVER:       " (the sale is over)",
	stockv1.ShortageReason_SHORTAGE_REASON_ORDER_LIMIT:     " (the most in one order)",
	stockv1.ShortageReason_SHORTAGE_REASON_MEMBER_LIMIT:    " (the most for one member)",
}

func shortages(list []*stockv1.Shortage) string {
	parts := make([]string, 0, len(list))
	for _, s := range list {
		parts = append(parts, fmt.Sprintf("%s has %d of %d%s", s.GetProductId(), s.GetAvailable(), s.GetRequested(), limits[s.GetReason()]))
	}
	return strings.Join(parts, ", ")
}

func extras(c *orderv1.Checkout) string {
	text := ""
	if n := len(c.GetCouponRefs()); n > 0 {
		text += fmt.Sprintf(", %s for %s", count(n, "coupon"), Money(c.GetDiscountAmount(), c.GetCurrency()))
	}
	if p := c.GetPointAmount(); p > 0 {
		text += fmt.Sprintf(", %s points", grouped(p))
	}
	return text
}

func paid(m *paymentv1.PaymentCompleted) string {
	text := "charged " + Money(m.GetPaymentAmount(), m.GetCurrency())
	if p := m.GetPointAmount(); p > 0 {
		text += fmt.Sprintf(" and %s points", grouped(p))
	}
	if m.GetHasCoupons() && !m.GetCouponCounted() {
		text += ", without the coupons"
	}
	return text
}

func cancelledPayment(m *paymentv1.PaymentCancelled) string {
	if m.GetPaymentAmount() == 0 && m.GetPointAmount() == 0 {
		return "nothing had been taken"
	}
	text := "gives back " + Money(m.GetPaymentAmount(), m.GetCurrency())
	if p := m.GetPointAmount(); p > 0 {
		text += fmt.Sprintf(" and %s points", grouped(p))
	}
	return text
}

func undoText(m *orderv1.OrderCancelled) string {
	switch m.GetUndoFrom() {
	case orderv1.UndoFrom_UNDO_FROM_NOTHING:
		return "nothing to undo"
	case orderv1.UndoFrom_UNDO_FROM_STOCK:
		return "undo from stock"
	case orderv1.UndoFrom_UNDO_FROM_COUPON:
		return "undo from coupon"
	default:
		return "undo from payment"
	}
}

func policyText(p orderv1.CouponFailurePolicy) string {
	if p == orderv1.CouponFailurePolicy_COUPON_FAILURE_POLICY_PAY_FULL_PRICE {
		return "goes on at full price"
	}
	return "the order is cancelled"
}

func word(enum, prefix string) string { return strings.TrimPrefix(enum, prefix) }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// withoutDecimals are the currencies whose minor unit is the currency itself (ISO 4217), as far as they are met here.
var withoutDecimals = map[string]bool{"KRW": true, "JPY": true, "VND": true, "CLP": true, "ISK": true}

// Money writes an amount in the minor unit of its currency for a person: ₩10,050, or 12.34 USD.
func Money(amount int64, currency string) string {
	if currency == "KRW" {
		return sign(amount) + "₩" + grouped(amount)
	}
	if withoutDecimals[currency] || currency == "" {
		return strings.TrimSpace(sign(amount) + grouped(amount) + " " + currency)
	}
	minor := amount % 100
	if minor < 0 {
		minor = -minor
	}
	return fmt.Sprintf("%s%s.%02d %s", sign(amount), grouped(amount/100), minor, currency)
}

func sign(n int64) string {
	if n < 0 {
		return "-"
	}
	return ""
}

// grouped writes the digits of n, without its sign, in groups of three.
func grouped(n int64) string {
	digits := strings.TrimPrefix(strconv.FormatInt(n, 10), "-")
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
