package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// shop is the four services of the saga; the order service does its first and
// its last step.
type shop struct {
	cfg     config
	order   *service
	stock   *service
	coupon  *service
	payment *service

	tracker *tracker
	failed  chan error // what ended a service early
	stop    context.CancelFunc
}

// open makes databases, topics and services, and returns when all are running.
// They end with ctx or at close, whichever comes first.
func open(ctx context.Context, cfg config) (_ *shop, err error) {
	ctx, stop := context.WithCancel(ctx)
	s := &shop{cfg: cfg, tracker: newTracker(cfg.inflight), failed: make(chan error, 16), stop: stop}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := createTopics(cfg); err != nil {
		return nil, err
	}
	for _, owner := range []struct {
		service      **service
		name, schema string
	}{
		{&s.order, "order", orderSchema},
		{&s.stock, "stock", stockSchema},
		{&s.coupon, "coupon", couponSchema},
		{&s.payment, "payment", paymentSchema},
	} {
		if *owner.service, err = newService(ctx, cfg, owner.name, owner.schema); err != nil {
			return nil, err
		}
	}
	if err := s.wire(); err != nil {
		return nil, err
	}
	if err := s.seed(ctx); err != nil {
		return nil, err
	}
	for _, service := range s.services() {
		if err := service.run(ctx, s.failed); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// wire says who answers which event with what.
func (s *shop) wire() error {
	return errors.Join(
		s.stock.answer(orderCreated, stockDecreased, decreaseStock, nil),
		s.coupon.answer(stockDecreased, couponUsed, useCoupon, nil),
		s.payment.answer(couponUsed, paymentCompleted, takePayment, nil),
		s.order.answer(paymentCompleted, orderCompleted, completeOrder, s.tracker.completed),
	)
}

// services that have been made so far.
func (s *shop) services() []*service {
	var made []*service
	for _, service := range []*service{s.order, s.stock, s.coupon, s.payment} {
		if service != nil {
			made = append(made, service)
		}
	}
	return made
}

// drained waits until every outbox is empty: completed orders may still have
// their last event there.
func (s *shop) drained(ctx context.Context) error {
	deadline := time.Now().Add(time.Minute)
	for _, service := range s.services() {
		for {
			n, err := service.outbox.waiting(ctx, service.pool)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("the outbox of %s still holds %d messages after a minute", service.name, n)
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case err := <-s.failed:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// check counts what the orders left. Every order must be there once in each
// service, complete, and the sums of stock and points must agree with them.
func (s *shop) check(ctx context.Context) (map[string]int64, error) {
	orders := int64(s.cfg.warmup + s.cfg.orders)
	found := map[string]int64{}
	var errs []error
	for _, c := range []struct {
		name, query string
		in          *service
		want        int64
	}{
		{"orders", `SELECT count(*) FROM orders`, s.order, orders},
		{"completed", `SELECT count(*) FROM orders WHERE status = 'COMPLETED'`, s.order, orders},
		{"reservations", `SELECT count(*) FROM reservation`, s.stock, orders},
		{"pieces_taken", `SELECT sum($1 - quantity)::bigint FROM product`, s.stock, orders},
		{"coupons_used", `SELECT count(DISTINCT coupon_id) FROM coupon_use`, s.coupon, orders},
		{"payments", `SELECT count(*) FROM payment`, s.payment, orders},
		{"points_taken", `SELECT sum($1 - balance)::bigint FROM points`, s.payment, orders * (price - discount)},
	} {
		var args []any
		switch c.name {
		case "pieces_taken":
			args = []any{int64(stock)}
		case "points_taken":
			args = []any{int64(points)}
		}
		var got int64
		if err := c.in.pool.QueryRow(ctx, c.query, args...).Scan(&got); err != nil {
			return nil, fmt.Errorf("count %s: %w", c.name, err)
		}
		if got != c.want {
			errs = append(errs, fmt.Errorf("%s: %d, want %d", c.name, got, c.want))
		}
		found[c.name] = got
	}
	ends, err := topicEnds(s.cfg)
	if err != nil {
		return nil, err
	}
	for name, end := range ends {
		if end < orders {
			errs = append(errs, fmt.Errorf("topic %s was given %d records, want at least %d", name, end, orders))
		}
		found["records_"+name] = end
	}
	return found, errors.Join(errs...)
}

// close ends all services, at once: each waits for its handlers.
func (s *shop) close() error {
	s.stop()
	services := s.services()
	errs := make([]error, len(services))
	var closing sync.WaitGroup
	for i, service := range services {
		closing.Go(func() { errs[i] = service.close() })
	}
	closing.Wait()
	return errors.Join(errs...)
}
