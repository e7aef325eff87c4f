package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/quadrille-io/quadrille/services/order"
)

// column is one column of orders: where its value is in an Order, how an array of it is passed to a
// set-wise statement, and where a scan puts it. One line per column then serves SELECT, INSERT and UPDATE.
type column struct {
	name string
	// array is the type of the parameter, cast what its elements are cast to ("" if they need not be).
	array, cast string
	collect     func(rows []order.Order) any
	target      func(o *order.Order) any
}

func text[S ~string](name string, at func(*order.Order) *S) column {
	return column{
		name: name, array: "text[]",
		collect: collect(func(o *order.Order) string { return string(*at(o)) }),
		target:  func(o *order.Order) any { return word[S]{at(o)} },
	}
}

// word scans text into a string type of its own.
type word[S ~string] struct{ to *S }

// ScanText implements pgtype.TextScanner.
func (w word[S]) ScanText(v pgtype.Text) error {
	*w.to = S(v.String)
	return nil
}

func number(name string, at func(*order.Order) *int64) column {
	return column{
		name: name, array: "bigint[]",
		collect: collect(func(o *order.Order) int64 { return *at(o) }),
		target:  func(o *order.Order) any { return at(o) },
	}
}

func flag(name string, at func(*order.Order) *bool) column {
	return column{
		name: name, array: "boolean[]",
		collect: collect(func(o *order.Order) bool { return *at(o) }),
		target:  func(o *order.Order) any { return at(o) },
	}
}

// moment is a time; the zero time is NULL.
func moment(name string, at func(*order.Order) *time.Time) column {
	return column{
		name: name, array: "timestamptz[]",
		collect: collect(func(o *order.Order) pgtype.Timestamptz {
			return pgtype.Timestamptz{Time: *at(o), Valid: !at(o).IsZero()}
		}),
		target: func(o *order.Order) any { return (*utc)(at(o)) },
	}
}

func collect[T any](value func(*order.Order) T) func([]order.Order) any {
	return func(rows []order.Order) any {
		values := make([]T, len(rows))
		for i := range rows {
			values[i] = value(&rows[i])
		}
		return values
	}
}

// utc scans a timestamptz as UTC, and NULL as the zero time.
type utc time.Time

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (u *utc) ScanTimestamptz(v pgtype.Timestamptz) error {
	*u = utc{}
	if v.Valid {
		*u = utc(v.Time.UTC())
	}
	return nil
}

// terms is what was agreed when the order was placed. It never changes but for the address
// (see saveAddresses), so an UPDATE leaves it alone.
// The names are the table's, not Go's.
type terms struct {
	Items         []order.Item       `json:"items"`
	ItemsAmount   int64              `json:"itemsAmount"`
	DeliveryFee   int64              `json:"deliveryFee"`
	Currency      string             `json:"currency"`
	PaymentType   order.PaymentType  `json:"paymentType"`
	PaymentToken  string             `json:"paymentToken,omitempty"`
	CouponRefs    []string           `json:"couponRefs,omitempty"`
	CouponPolicy  order.CouponPolicy `json:"couponPolicy"`
	CouponTimeout time.Duration      `json:"couponTimeout"`
	AddressID     string             `json:"addressId"`
}

func termsColumn() column {
	return column{
		name: "terms", array: "text[]", cast: "::jsonb",
		collect: collect(func(o *order.Order) string {
			raw, err := json.Marshal(terms{
				Items: o.Items, ItemsAmount: o.ItemsAmount, DeliveryFee: o.DeliveryFee, Currency: o.Currency,
				PaymentType: o.PaymentType, PaymentToken: o.PaymentToken, CouponRefs: o.CouponRefs,
				CouponPolicy: o.CouponPolicy, CouponTimeout: o.CouponTimeout, AddressID: o.AddressID,
			})
			if err != nil {
				panic(err) // strings and numbers always encode
			}
			return string(raw)
		}),
		target: func(o *order.Order) any { return (*termsTarget)(o) },
	}
}

// termsTarget scans terms into the order's fields.
type termsTarget order.Order

// ScanBytes implements pgtype.BytesScanner.
func (o *termsTarget) ScanBytes(raw []byte) error {
	var t terms
	if err := json.Unmarshal(raw, &t); err != nil {
		return fmt.Errorf("decode terms: %w", err)
	}
	o.Items, o.ItemsAmount, o.DeliveryFee, o.Currency = t.Items, t.ItemsAmount, t.DeliveryFee, t.Currency
	o.PaymentType, o.PaymentToken = t.PaymentType, t.PaymentToken
	o.CouponRefs, o.CouponPolicy, o.CouponTimeout = t.CouponRefs, t.CouponPolicy, t.CouponTimeout
	o.AddressID = t.AddressID
	return nil
}

// names joins the columns' names, each with a prefix.
func names(columns []column, prefix string) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = prefix + c.name
	}
	return strings.Join(list, ", ")
}

// parameters is the list of unnest: $1::text[], $2::bigint[], ...
func parameters(columns []column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = fmt.Sprintf("$%d::%s", i+1, c.array)
	}
	return strings.Join(list, ", ")
}

// arrays turns rows into the parameters of a set-wise statement.
func arrays(columns []column, rows []order.Order) []any {
	list := make([]any, len(columns))
	for i, c := range columns {
		list[i] = c.collect(rows)
	}
	return list
}
