package verify_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// A shop that goes on selling gives no false alarm: pages of different moments, products that never stand
// still, orders on their way and orders that are cancelled in the middle of it.
func TestNoFalseAlarmWhileTheShopIsOpen(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	product := s.product(t, 300)
	check(t, s.ops.Post(t.Context(), "/ops/v1/coupon-policies", fields{
		"policyId": "SPRING", "name": "Spring", "discount": fields{"amount": 300}, "limit": 100,
	}, nil))
	const customers, each = 8, 14
	var selling sync.WaitGroup
	closed := make(chan struct{})
	for n := range customers {
		client := s.as(t, memberID(n+1))
		check(t, s.ops.Post(t.Context(), "/ops/v1/points/grants", fields{"userId": memberID(n + 1), "amount": 3000, "reason": "test"}, nil))
		check(t, client.Post(t.Context(), "/api/v1/coupon-policies/SPRING/issue", nil, nil))
		selling.Go(func() {
			for i := range each {
				if err := trade(t, client, product, n+i); err != nil {
					t.Errorf("order %d of customer %d: %v", i, n, err)
				}
			}
		})
	}
	go func() { selling.Wait(); close(closed) }()
	for looking, rounds := true, 0; looking; rounds++ {
		select {
		case <-closed:
			looking = false
			t.Logf("looked %d times meanwhile", rounds)
		default:
		}
		// The machine is busy, so what is told to wait for 5 minutes is not stuck here either.
		if _, report := s.verify(t, "--stuck", "5m"); len(report.Differences)+len(report.Open) > 0 {
			t.Fatalf("verify finds\n%s", sentences(report))
		}
	}
	report := s.clean(t)
	if report.Checked.Orders != customers*each {
		t.Errorf("%d orders were checked: want %d", report.Checked.Orders, customers*each)
	}
}

// trade places an order of one kind or another, and cancels some at once and some when they are settled.
func trade(t *testing.T, client rest.Client, product string, kind int) error {
	body := basket(product, 1, []fields{
		{},
		{"paymentToken": "tok_decline"},
		{"pointAmount": 100, "paymentAmount": 900},
		{"paymentToken": "tok_slow"},
		{"discountPolicyId": "SPRING", "discountAmount": 300, "paymentAmount": 700},
		{"discountPolicyId": "SPRING", "discountAmount": 300, "paymentAmount": 700, "couponFailurePolicy": "PAY_FULL_PRICE"},
		{"pointAmount": 1000, "paymentAmount": 0, "paymentType": "POINT"},
	}[kind%7])
	header := map[string]string{"Idempotency-Key": uuid.NewString()}
	if kind%3 > 0 {
		header["Prefer"] = "wait=5"
	}
	var o order
	if _, err := client.Call(t.Context(), rest.Request{Method: http.MethodPost, Path: "/api/v1/orders", Body: body, Header: header}, &o); err != nil {
		return err
	}
	if kind%4 != 3 && kind%3 != 0 {
		return nil
	}
	err := client.Post(t.Context(), "/api/v1/orders/"+o.OrderID+"/cancel", nil, nil)
	var problem *rest.Problem
	if errors.As(err, &problem) && problem.Status == http.StatusConflict {
		return nil // it has left
	}
	if err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	return nil
}
