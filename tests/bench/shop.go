package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// Shop is who buys what. Prices are ₩1,000; members pay with points.
type Shop struct {
	Members  int `json:"members"`
	Products int `json:"products"`
	// SoldOut is how many products there are none of; they come after the others.
	SoldOut int `json:"sold_out"`
}

const (
	price  = 1_000
	pieces = 1_000_000_000
	points = 100_000_000_000 // beside those of a past, below what a member can have
)

func memberID(n int) string  { return fmt.Sprintf("member-%06d", n) }
func addressID(n int) string { return fmt.Sprintf("0190a3a0-0000-7000-8000-%012x", n+1) }
func productID(n int) string { return fmt.Sprintf("PRD_%06d", n) }

// members have an address each. Their contact data stay with the mailer's test: see Serve.
func (s Shop) members() []*memberv1.MemberChanged {
	all := make([]*memberv1.MemberChanged, s.Members)
	for i := range all {
		all[i] = local.Member(memberID(i), addressID(i), "en")
		all[i].Email = "" // so nobody is mailed
	}
	return all
}

// open puts the goods and the points there, through the public API.
func (s Shop) open(ctx context.Context, ops, customer rest.Client) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	for i := range s.Products + s.SoldOut {
		p := local.NewProduct{ProductID: productID(i), Name: "Bench piece", Price: price, Currency: "KRW", Quantity: pieces}
		if i >= s.Products {
			p.Quantity = 0
		}
		g.Go(func() error { return local.AddProduct(gctx, ops, p) })
	}
	for i := range s.Members {
		g.Go(func() error {
			_, err := ops.Call(gctx, rest.Request{
				Method: http.MethodPost, Path: "/ops/v1/points/grants",
				Body:   local.Grant{UserID: memberID(i), Amount: points, Reason: "bench"},
				Header: map[string]string{"Idempotency-Key": "bench-" + memberID(i)},
			}, nil)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("open the shop: %w", err)
	}
	for i := range s.Products + s.SoldOut {
		if err := local.AwaitOrderable(ctx, customer, productID(i)); err != nil {
			return fmt.Errorf("open the shop: %w", err)
		}
	}
	return nil
}

// errBusy says that something is still going on.
var errBusy = errors.New("not at rest")

// awaitRest waits until busy has nothing to say, twice in a row: between two looks something may be on its way.
func awaitRest(ctx context.Context, busy func(context.Context) error) error {
	deadline := time.Now().Add(5 * time.Minute)
	for quiet := 0; quiet < 2; {
		err := busy(ctx)
		switch {
		case err == nil:
			quiet++
		case !errors.Is(err, errBusy):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("after five minutes: %w", err)
		default:
			quiet = 0
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
