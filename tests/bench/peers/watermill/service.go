package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// closeTimeout bounds how long a router waits for its handlers at the end.
const closeTimeout = 5 * time.Second

// step does a service's part for an order in the handler's transaction, and
// returns what goes to the outbox; false where this has been done before.
type step func(ctx context.Context, tx pgx.Tx, in event) (out event, done bool, err error)

// service is one owner of data: a database, its outbox, and the router of what
// it answers.
type service struct {
	name       string
	cfg        config
	pool       *pgxpool.Pool
	outbox     outbox
	publisher  *kafka.Publisher
	router     *message.Router
	forwarders []*forwarder.Forwarder
}

func newService(ctx context.Context, cfg config, name, schema string) (*service, error) {
	s := &service{name: name, cfg: cfg, outbox: newOutbox(cfg)}
	var err error
	if s.pool, err = createDatabase(ctx, cfg, name, schema); err != nil {
		return nil, err
	}
	if s.publisher, err = newPublisher(cfg); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.forwarders, err = s.outbox.forwarders(s.pool, s.publisher); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, logger{}); err != nil {
		return nil, errors.Join(fmt.Errorf("make the router of %s: %w", name, err), s.close())
	}
	s.router.AddMiddleware(middlewares()...)
	return s, nil
}

// answer makes the service do a step for each event of a topic and emit the next
// event. after, if any, is told once the step is committed.
func (s *service) answer(trigger, emitted string, do step, after func(orderID string)) error {
	subscriber, err := newSubscriber(s.cfg, s.name)
	if err != nil {
		return err
	}
	s.router.AddConsumerHandler(s.name+"."+trigger, s.cfg.prefix+trigger, subscriber, func(msg *message.Message) error {
		in, err := parseEvent(msg)
		if err != nil {
			return err
		}
		done, err := s.commit(msg.Context(), emitted, in, do)
		if err != nil {
			return fmt.Errorf("%s for order %s: %w", emitted, in.OrderID, err)
		}
		if done && after != nil {
			after(in.OrderID)
		}
		return nil
	})
	return nil
}

// commit runs a step and writes its event to the outbox in one transaction. A
// redelivery, which the step knows by its row, changes nothing.
func (s *service) commit(ctx context.Context, emitted string, in event, do step) (done bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var out event
		if out, done, err = do(ctx, tx, in); err != nil || !done {
			return err
		}
		return s.outbox.publish(ctx, tx, emitted, out)
	})
	return done && err == nil, err
}

// run starts the router and the forwarders, and returns once they take messages.
// What ends one of them, other than ctx, is told to failed.
func (s *service) run(ctx context.Context, failed chan<- error) error {
	type runner interface {
		Run(ctx context.Context) error
	}
	start := func(r runner, running chan struct{}) error {
		go func() {
			if err := r.Run(ctx); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("service %s: %w", s.name, err)
			}
		}()
		select {
		case <-running:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return fmt.Errorf("service %s has not started within a minute", s.name)
		}
	}
	for _, f := range s.forwarders {
		if err := start(f, f.Running()); err != nil {
			return err
		}
	}
	return start(s.router, s.router.Running())
}

// close stops what runs, first what produces work, then what carries it on.
func (s *service) close() error {
	var errs []error
	if s.router != nil && s.router.IsRunning() {
		errs = append(errs, s.router.Close())
	}
	for _, f := range s.forwarders {
		errs = append(errs, f.Close())
	}
	if s.publisher != nil {
		errs = append(errs, s.publisher.Close())
	}
	s.pool.Close()
	return errors.Join(errs...)
}

// middlewares are what Watermill's docs put around every handler.
func middlewares() []message.HandlerMiddleware {
	retry := middleware.Retry{MaxRetries: 3, InitialInterval: 50 * time.Millisecond, Logger: logger{}}
	return []message.HandlerMiddleware{middleware.Recoverer, retry.Middleware}
}
