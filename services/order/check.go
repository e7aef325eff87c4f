package order

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// MaxAmount is the highest amount of any kind in an order, minor unit. Sums of a few of them are far from
// an overflow, and a JSON reader that has only doubles still reads them exactly.
const MaxAmount = 1_000_000_000_000_000

// MaxCoupons is the most coupons one order can use.
const MaxCoupons = 10

// Check holds a request against the price list, the member's addresses and its own sums, and makes the
// order of it that OnPlace would store. The preview answers with the same. It changes nothing.
func Check(w *World, c Place, now time.Time) (Order, *fault.Refusal) {
	o := Order{
		OrderID: c.OrderID, UserID: c.UserID, DiscountAmount: c.DiscountAmount, DeliveryFee: c.DeliveryFee,
		PointAmount: c.PointAmount, PaymentAmount: c.PaymentAmount, PaymentType: c.PaymentType,
		PaymentToken: c.PaymentToken, CouponPolicy: c.CouponPolicy,
	}
	if o.CouponPolicy == "" {
		o.CouponPolicy = CancelOrder
	}
	if refusal := checkShape(c); refusal != nil {
		return o, refusal
	}
	// Two refs to one coupon are one.
	for _, ref := range c.CouponRefs {
		if !slices.Contains(o.CouponRefs, ref) {
			o.CouponRefs = append(o.CouponRefs, ref)
		}
	}
	for _, check := range []func() *fault.Refusal{
		func() *fault.Refusal { return o.checkItems(w, c, now) },
		func() *fault.Refusal { return o.checkSum(c) },
		func() *fault.Refusal { return o.checkAddress(w, c) },
	} {
		if refusal := check(); refusal != nil {
			return o, refusal
		}
	}
	return o, nil
}

func invalid(pointer, detail string) fault.FieldError {
	return fault.FieldError{Pointer: pointer, Code: fault.CodeInvalidField, Detail: detail}
}

// checkShape is what no state of the world could make right.
func checkShape(c Place) *fault.Refusal {
	var bad []fault.FieldError
	if len(c.Items) == 0 {
		bad = append(bad, invalid("/items", "needs at least one item"))
	}
	for i, item := range c.Items {
		if item.Quantity < 1 {
			bad = append(bad, invalid(fmt.Sprintf("/items/%d/quantity", i), "must be at least 1"))
		}
	}
	for _, amount := range []struct {
		pointer string
		value   int64
	}{
		{"/discountAmount", c.DiscountAmount},
		{"/pointAmount", c.PointAmount},
		{"/deliveryFee", c.DeliveryFee},
		{"/paymentAmount", c.PaymentAmount},
	} {
		if amount.value < 0 || amount.value > MaxAmount {
			bad = append(bad, invalid(amount.pointer, fmt.Sprintf("must be between 0 and %d", int64(MaxAmount))))
		}
	}
	if len(c.CouponRefs) > MaxCoupons {
		bad = append(bad, invalid("/couponIds", fmt.Sprintf("must not be more than %d", MaxCoupons)))
	}
	switch c.PaymentType {
	case Credit, Points:
	case Transfer:
		if c.Rules.TransferTimeout <= 0 {
			return fault.Unprocessable(fault.CodePaymentTypeUnavailable, "Bank transfers are not accepted.",
				fault.FieldError{Pointer: "/paymentType", Code: fault.CodePaymentTypeUnavailable, Detail: "choose CREDIT or POINT"})
		}
	default:
		bad = append(bad, invalid("/paymentType", "must be CREDIT, POINT or TRANSFER"))
	}
	if len(bad) > 0 {
		return fault.Invalid(bad...)
	}
	return nil
}

// checkItems sums up the items of each product and holds every claim against the price list. All that is
// wrong with the items is reported at once; the first one names the code.
func (o *Order) checkItems(w *World, c Place, now time.Time) *fault.Refusal {
	if c.Rules.MaxItems > 0 && len(c.Items) > c.Rules.MaxItems {
		return quantityLimit("/items", fmt.Sprintf("an order has at most %d lines", c.Rules.MaxItems))
	}
	var bad []fault.FieldError
	var pieces int64
	for i, line := range c.Items {
		k := slices.IndexFunc(o.Items, func(item Item) bool { return item.ProductID == line.ProductID })
		price, cost, wrong := o.checkLine(w, c, line, k, now)
		if wrong != nil {
			wrong.Pointer = fmt.Sprintf("/items/%d%s", i, wrong.Pointer)
			bad = append(bad, *wrong)
			continue
		}
		o.Currency = price.Currency
		if line.Quantity > math.MaxInt32-pieces {
			return quantityLimit(fmt.Sprintf("/items/%d/quantity", i), "more pieces than any order can hold")
		}
		pieces += line.Quantity
		if cost > 0 && line.Quantity > (MaxAmount-o.ItemsAmount)/cost {
			return quantityLimit(fmt.Sprintf("/items/%d/quantity", i), "the sum is higher than any order's can be")
		}
		o.ItemsAmount += line.Quantity * cost
		if k < 0 {
			k, o.Items = len(o.Items), append(o.Items, Item{ProductID: line.ProductID, ProductName: price.Name, ProductPrice: cost})
		}
		o.Items[k].Quantity += int32(line.Quantity)
	}
	if len(bad) > 0 {
		return fault.Unprocessable(bad[0].Code, "The items cannot be ordered like this: "+bad[0].Detail+".", bad...)
	}
	if c.Rules.MaxQuantity > 0 && pieces > c.Rules.MaxQuantity {
		return quantityLimit("/items", fmt.Sprintf("an order has at most %d pieces", c.Rules.MaxQuantity))
	}
	return nil
}

// checkLine holds one line against the price list; k is where its product stands among the items already, or -1. It
// gives what one piece costs, or what is wrong, with a pointer into the line.
func (o *Order) checkLine(w *World, c Place, line PlaceItem, k int, now time.Time) (price Price, cost int64, wrong *fault.FieldError) {
	price, known := w.Prices.Get(line.ProductID)
	cost, honoured := price.Costs(line.ProductPrice, c.Rules.PriceGrace, now)
	pieces := line.Quantity
	if k >= 0 {
		// The lines of one product have one price: the first one's.
		cost = o.Items[k].ProductPrice
		honoured = line.ProductPrice == nil || *line.ProductPrice == cost
		pieces += int64(o.Items[k].Quantity)
	}
	refuse := func(field, code, detail string) (Price, int64, *fault.FieldError) {
		return price, cost, &fault.FieldError{Pointer: field, Code: code, Detail: detail}
	}
	switch {
	case !known:
		return refuse("/productId", fault.CodeUnknownProduct, "there is no such product")
	case !price.OnSale:
		return refuse("/productId", fault.CodeProductNotOnSale, "the product is not sold at the moment")
	case now.Before(price.SaleStartsAt):
		return refuse("/productId", fault.CodeNotOnSaleYet, "the sale starts at "+price.SaleStartsAt.Format(time.RFC3339))
	case !price.SaleEndsAt.IsZero() && !now.Before(price.SaleEndsAt):
		return refuse("/productId", fault.CodeSaleOver, "the sale ended at "+price.SaleEndsAt.Format(time.RFC3339))
	case !honoured:
		return refuse("/productPrice", fault.CodePriceChanged, fmt.Sprintf("the price is %d %s", cost, price.Currency))
	case o.Currency != "" && o.Currency != price.Currency:
		return refuse("/productId", fault.CodeCurrencyMismatch, "its currency is another one than that of the items before")
	case price.MaxPerOrder > 0 && pieces > price.MaxPerOrder:
		return refuse("/quantity", fault.CodeQuantityLimit, fmt.Sprintf("an order has at most %d pieces of it", price.MaxPerOrder))
	}
	return price, cost, nil
}

func quantityLimit(pointer, detail string) *fault.Refusal {
	return fault.Unprocessable(fault.CodeQuantityLimit, "The order is too large: "+detail+".",
		fault.FieldError{Pointer: pointer, Code: fault.CodeQuantityLimit, Detail: detail})
}

// Fee is what delivery costs for items of that sum, minor unit.
func (r Rules) Fee(itemsAmount int64) int64 {
	if r.FreeDeliveryFrom > 0 && itemsAmount >= r.FreeDeliveryFrom {
		return 0
	}
	return r.DeliveryFee
}

// checkSum holds the claimed amounts against each other. The discount's own worth is coupon's to check.
func (o *Order) checkSum(c Place) *fault.Refusal {
	mismatch := func(pointer, detail string) *fault.Refusal {
		return fault.Unprocessable(fault.CodeAmountMismatch, "The amounts do not add up: "+detail+".",
			fault.FieldError{Pointer: pointer, Code: fault.CodeAmountMismatch, Detail: detail})
	}
	fee := c.Rules.Fee(o.ItemsAmount)
	due := o.ItemsAmount + fee - c.DiscountAmount - c.PointAmount
	switch {
	case c.PointAmount > 0 && o.Currency != c.Rules.PointCurrency:
		return fault.Unprocessable(fault.CodeCurrencyMismatch, "Points do not pay for an order in "+o.Currency+".",
			fault.FieldError{Pointer: "/pointAmount", Code: fault.CodeCurrencyMismatch, Detail: "points are worth " + c.Rules.PointCurrency})
	case c.DeliveryFee != fee:
		return mismatch("/deliveryFee", fmt.Sprintf("delivery costs %d", fee))
	case c.DiscountAmount > 0 && len(o.CouponRefs) == 0:
		return mismatch("/discountAmount", "there is no discount without a coupon")
	case c.DiscountAmount > o.ItemsAmount:
		return mismatch("/discountAmount", fmt.Sprintf("the items cost only %d", o.ItemsAmount))
	case due < 0:
		return mismatch("/pointAmount", fmt.Sprintf("no more than %d points are needed", due+c.PointAmount))
	case c.PaymentAmount != due:
		return mismatch("/paymentAmount", fmt.Sprintf("items + deliveryFee - discount - points is %d", due))
	case c.PaymentType == Points && due != 0:
		return mismatch("/pointAmount", fmt.Sprintf("paid with points alone, it takes %d of them", due+c.PointAmount))
	}
	return nil
}

// checkAddress takes the address the caller names, if it is the member's, else the member's default.
func (o *Order) checkAddress(w *World, c Place) *fault.Refusal {
	member, _ := w.Members.Get(c.UserID)
	o.AddressID = c.AddressID
	if o.AddressID == "" {
		o.AddressID = member.DefaultAddressID
	}
	field := fault.FieldError{Pointer: "/shippingAddressId", Code: fault.CodeAddressRequired, Detail: "there is no default address either"}
	if o.AddressID == "" {
		return fault.Unprocessable(fault.CodeAddressRequired, "An order needs an address to be sent to.", field)
	}
	if !slices.Contains(member.AddressIDs, o.AddressID) {
		field.Code, field.Detail = fault.CodeUnknownAddress, "it is not one of the member's"
		return fault.Unprocessable(fault.CodeUnknownAddress, "There is no such address of the member.", field)
	}
	return nil
}
