package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

type orderCommand struct {
	Create createCommand `cmd:"" help:"Place an order and follow it: every event, and what caused it."`
	Watch  watchCommand  `cmd:"" help:"Follow an order until it is settled."`
	Get    getCommand    `cmd:"" help:"Show an order."`
	Cancel cancelCommand `cmd:"" help:"Cancel an order, and follow its undoing."`
}

// order is what the API shows of one, as far as it is printed here.
type order struct {
	OrderID       string  `json:"orderId"`
	Status        string  `json:"status"`
	Reason        *string `json:"reason"`
	Progress      string  `json:"progress"`
	PaymentAmount int64   `json:"paymentAmount"`
	PointAmount   int64   `json:"pointAmount"`
	Currency      string  `json:"currency"`
	PaymentType   string  `json:"paymentType"`
	Shipment      *struct {
		Carrier        string `json:"carrier"`
		TrackingNumber string `json:"trackingNumber"`
		Status         string `json:"status"`
	} `json:"shipment"`
}

type createCommand struct {
	Product  string        `help:"Product id." default:"PRD_240701120000001_0001_101"`
	Quantity int64         `help:"Pieces." default:"1"`
	Price    *int64        `help:"Price of one piece that is claimed; looked up if absent."`
	Token    string        `help:"Payment token: tok_ok, tok_decline, tok_unknown, tok_unknown_failed, tok_slow, tok_flaky."`
	Points   int64         `help:"Points to pay with."`
	Coupon   string        `help:"Coupon, or the policy of one the customer has."`
	Discount *int64        `help:"What the coupon is expected to be worth; asked for if absent."`
	Policy   string        `help:"What to do if the coupon fails: CANCEL_ORDER or PAY_FULL_PRICE." enum:"CANCEL_ORDER,PAY_FULL_PRICE" default:"CANCEL_ORDER"`
	User2    bool          `name:"user2" help:"As the second customer."`
	Key      string        `help:"Idempotency-Key; a new one if absent."`
	Wait     int           `help:"Instead of following, let the one request wait up to so many seconds (at most 30)." placeholder:"SECONDS"`
	Timeout  time.Duration `help:"How long to follow at most." default:"2m"`
}

// Run places the order.
func (c *createCommand) Run(ctx context.Context, s *session) error {
	client, err := s.customer(c.User2)
	if err != nil {
		return err
	}
	body, err := c.body(ctx, client)
	if err != nil {
		return err
	}
	key := c.Key
	if key == "" {
		key = uuid.NewString()
	}
	request := rest.Request{Method: http.MethodPost, Path: "/api/v1/orders", Body: body, Header: map[string]string{"Idempotency-Key": key}}
	if c.Wait > 0 {
		request.Header["Prefer"] = "wait=" + strconv.Itoa(c.Wait)
	}
	var placed order
	res, err := client.Call(ctx, request, &placed)
	if err != nil {
		return err
	}
	if c.Wait > 0 {
		return s.showOrder(res.Body, placed)
	}
	if !s.root.JSON {
		replayed := ""
		if res.Header.Get("Idempotency-Replayed") == "true" {
			replayed = " (Idempotency-Replayed: true)"
		}
		if err := s.printf("order %s: %d %s%s\n", placed.OrderID, res.Status, http.StatusText(res.Status), replayed); err != nil {
			return err
		}
	}
	return s.follow(ctx, client, placed.OrderID, c.Timeout)
}

// body is the request of POST /api/v1/orders, with prices and discount looked up as a front end does.
func (c *createCommand) body(ctx context.Context, client rest.Client) (map[string]any, error) {
	price := c.Price
	if price == nil {
		var product struct {
			Price int64 `json:"price"`
		}
		if err := client.Get(ctx, "/api/v1/products/"+url.PathEscape(c.Product), &product); err != nil {
			return nil, fmt.Errorf("look up the price: %w", err)
		}
		price = &product.Price
	}
	body := map[string]any{
		"items":       []map[string]any{{"productId": c.Product, "quantity": c.Quantity, "productPrice": *price}},
		"pointAmount": c.Points, "deliveryFee": 0, "couponFailurePolicy": c.Policy, "paymentType": "CREDIT",
	}
	discount := int64(0)
	if c.Coupon != "" {
		body["discountPolicyId"] = c.Coupon
		var err error
		if discount, err = c.worth(ctx, client, body); err != nil {
			return nil, err
		}
		body["discountAmount"] = discount
	}
	if c.Token != "" {
		body["paymentToken"] = c.Token
	}
	payment := *price*c.Quantity - discount - c.Points
	if payment == 0 && c.Points > 0 {
		body["paymentType"] = "POINT"
	}
	body["paymentAmount"] = payment
	return body, nil
}

// worth is what the coupon takes off.
func (c *createCommand) worth(ctx context.Context, client rest.Client, body map[string]any) (int64, error) {
	if c.Discount != nil {
		return *c.Discount, nil
	}
	var preview struct {
		Coupon *struct {
			DiscountAmount int64 `json:"discountAmount"`
		} `json:"coupon"`
	}
	if err := client.Post(ctx, "/api/v1/orders/preview", body, &preview); err != nil {
		return 0, fmt.Errorf("ask what the coupon is worth: %w", err)
	}
	if preview.Coupon == nil {
		return 0, fmt.Errorf("%w: the coupon service does not answer: say --discount", errUsage)
	}
	return preview.Coupon.DiscountAmount, nil
}

type watchCommand struct {
	OrderID string        `arg:"" name:"order-id" help:"The order."`
	User2   bool          `name:"user2" help:"As the second customer."`
	Timeout time.Duration `help:"How long to follow at most." default:"2m"`
}

// Run follows the order.
func (c *watchCommand) Run(ctx context.Context, s *session) error {
	client, err := s.customer(c.User2)
	if err != nil {
		return err
	}
	return s.follow(ctx, client, c.OrderID, c.Timeout)
}

type getCommand struct {
	OrderID string `arg:"" name:"order-id" help:"The order."`
	User2   bool   `name:"user2" help:"As the second customer."`
}

// Run shows the order.
func (c *getCommand) Run(ctx context.Context, s *session) error {
	client, err := s.customer(c.User2)
	if err != nil {
		return err
	}
	var o order
	res, err := client.Call(ctx, rest.Request{Method: http.MethodGet, Path: orderPath(c.OrderID)}, &o)
	if err != nil {
		return err
	}
	return s.showOrder(res.Body, o)
}

type cancelCommand struct {
	OrderID string        `arg:"" name:"order-id" help:"The order."`
	Reason  string        `help:"Why; kept with the order." default:"changed my mind"`
	User2   bool          `name:"user2" help:"As the second customer."`
	Timeout time.Duration `help:"How long to follow at most." default:"2m"`
}

// Run cancels the order.
func (c *cancelCommand) Run(ctx context.Context, s *session) error {
	client, err := s.customer(c.User2)
	if err != nil {
		return err
	}
	if err := client.Post(ctx, orderPath(c.OrderID)+"/cancel", map[string]string{"reason": c.Reason}, nil); err != nil {
		return err
	}
	return s.follow(ctx, client, c.OrderID, c.Timeout)
}

func orderPath(id string) string { return "/api/v1/orders/" + url.PathEscape(id) }

// showOrder prints an order: its JSON as it came, or one line.
func (s *session) showOrder(raw []byte, o order) error {
	if s.root.JSON {
		return s.printJSON(json.RawMessage(raw))
	}
	line := o.OrderID + " " + o.Status
	if o.Reason != nil {
		line += " " + *o.Reason
	}
	if o.Progress != "" && o.Progress != "none" {
		line += ", waits for " + o.Progress
	}
	line += ", " + money(o.PaymentAmount, o.Currency) + " by " + o.PaymentType
	if o.PointAmount > 0 {
		line += fmt.Sprintf(" and %d points", o.PointAmount)
	}
	if o.Shipment != nil {
		line += fmt.Sprintf(", parcel %s %s %s", o.Shipment.Carrier, o.Shipment.TrackingNumber, o.Shipment.Status)
	}
	return s.printf("%s\n", line)
}
