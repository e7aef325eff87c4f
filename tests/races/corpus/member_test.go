package corpus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// fledgling is a member with canaries who comes by the front door; her password is one too, and may stand nowhere.
const (
	fledgling         = "fledgling-k7f3@feathers.example"
	fledglingPassword = "the password is a nightingale"
)

// registers lets a member register, sign in, change what she said and add an address, and order there: until the parcel
// is delivered. It returns her client.
func (w town) registers(t *testing.T) rest.Client {
	t.Helper()
	ctx := t.Context()
	anybody := w.client(t, "nobody").As("")
	if err := anybody.Post(ctx, "/api/v1/members", map[string]string{
		"email": "before-" + fledgling, "password": "before: " + fledglingPassword, "name": "Zephyrine Canaryfeather", "phone": "+82-2-7391-5528", "language": "ko",
	}, nil); err != nil {
		t.Fatal(err)
	}
	wrong := anybody.Post(ctx, "/api/v1/sessions", map[string]string{"email": "before-" + fledgling, "password": "wrong: " + fledglingPassword}, nil)
	if problem := new(rest.Problem); !errors.As(wrong, &problem) || problem.Code != fault.CodeInvalidCredentials {
		t.Errorf("a wrong password: %v", wrong)
	}
	var session struct {
		AccessToken string `json:"accessToken"`
	}
	if err := anybody.Post(ctx, "/api/v1/sessions", map[string]string{"email": "before-" + fledgling, "password": "before: " + fledglingPassword}, &session); err != nil {
		t.Fatal(err)
	}
	c := anybody.As(session.AccessToken)
	if _, err := c.Call(ctx, rest.Request{Method: "PATCH", Path: "/api/v1/members/me", Body: map[string]string{
		"email": fledgling, "password": fledglingPassword, "currentPassword": "before: " + fledglingPassword,
	}}, nil); err != nil {
		t.Fatal(err)
	}
	var address struct {
		AddressID string `json:"addressId"`
	}
	if err := c.Post(ctx, "/api/v1/members/me/addresses", map[string]string{
		"name": "Zephyrine Canaryfeather", "phone": "+82-2-7391-5528", "line1": "4711 Kanarienweg", "line2": "Aviary 17b",
		"city": "Vogelstadt", "postalCode": "04524", "country": "KR",
	}, &address); err != nil {
		t.Fatal(err)
	}
	var order struct {
		OrderID string `json:"orderId"`
	}
	testkit.Eventually(t, patience, func() error { // until order has heard of the address
		return c.Post(ctx, "/api/v1/orders", basket(local.Product, 10_050), &order)
	})
	settled(t, c, order.OrderID, "COMPLETED")
	w.delivered(t)(c, order.OrderID)
	return c
}

// erases lets the members go, and looks for what is left of them: in no table of any database anything is, those of
// shipping, mailer and member included. There is nowhere to send an order of theirs to any more.
func (w town) erases(ctx context.Context, t *testing.T, members ...rest.Client) {
	t.Helper()
	for _, c := range members {
		if _, err := c.Call(ctx, rest.Request{Method: "DELETE", Path: "/api/v1/members/me"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range members {
		testkit.Eventually(t, patience, func() error {
			err := c.Post(ctx, "/api/v1/orders", basket(local.Product, 10_050), nil)
			if problem := new(rest.Problem); errors.As(err, &problem) && problem.Code == fault.CodeAddressRequired {
				return nil
			}
			return fmt.Errorf("an order of nobody: %w", err)
		})
	}
	testkit.Eventually(t, patience, func() error {
		for service, address := range w.cfg.Databases {
			var left []string
			err := eachRow(ctx, address, func(table, row string) {
				for canary, c := range canaries {
					if slices.Contains(c.databases, "member") && holds(row, canary) {
						left = append(left, table+" has "+canary)
					}
				}
			})
			if err != nil || len(left) > 0 {
				return fmt.Errorf("%s: %v %w", service, left, err)
			}
		}
		return nil
	})
}
