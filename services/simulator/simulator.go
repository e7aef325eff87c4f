// Package simulator runs the outside world of a shop: a payment provider
// (package payment), a parcel carrier (package carrier), a mail server
// (package inbox) and a data platform (package dataplatform), each a real
// server on its own port with a memory in a directory of its own.
package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/services/simulator/carrier"
	"github.com/quadrille-io/quadrille/services/simulator/dataplatform"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
	"github.com/quadrille-io/quadrille/services/simulator/payment"
)

// Config of all simulators. An address is host:port; port 0 takes a free one.
type Config struct {
	// Dir holds payment/, carrier/, inbox/ and dataplatform/, unless their own
	// Dir is set.
	Dir string

	PaymentAddr      string // default 127.0.0.1:0
	CarrierAddr      string // default 127.0.0.1:0
	InboxAddr        string // HTTP; default 127.0.0.1:0
	InboxSMTPAddr    string // default 127.0.0.1:0
	DataplatformAddr string // default 127.0.0.1:0

	Payment      payment.Config
	Carrier      carrier.Config
	Inbox        inbox.Config
	Dataplatform dataplatform.Config
}

// Simulators are running.
type Simulators struct {
	PaymentURL      string // http://host:port
	CarrierURL      string
	InboxURL        string
	SMTPAddr        string // host:port
	DataplatformURL string // batches go to /facts

	// The servers themselves, for tests that turn faults or look at sums.
	Payment      *payment.Server
	Carrier      *carrier.Server
	Inbox        *inbox.Server
	Dataplatform *dataplatform.Server

	closers []func() error // in the order of their start
	serving sync.WaitGroup
	failed  chan error // the first server that stopped by itself
	once    sync.Once
	err     error
}

// Start starts all simulators and returns when their ports are open. They run
// until Close; ctx bounds the start only. On an error nothing is left running.
func Start(ctx context.Context, cfg Config) (*Simulators, error) {
	s := &Simulators{failed: make(chan error, 1)}
	for _, start := range []func(context.Context, Config) error{s.startPayment, s.startCarrier, s.startInbox, s.startDataplatform} {
		if err := errors.Join(ctx.Err(), start(ctx, cfg)); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Simulators) startPayment(ctx context.Context, cfg Config) (err error) {
	own := cfg.Payment
	own.Dir = directory(own.Dir, cfg.Dir, "payment")
	if s.Payment, err = payment.New(own); err != nil {
		return fmt.Errorf("start payment simulator: %w", err)
	}
	s.closers = append(s.closers, s.Payment.Close)
	if s.PaymentURL, err = s.serve(ctx, cfg.PaymentAddr, s.Payment.Handler()); err != nil {
		return fmt.Errorf("start payment simulator: %w", err)
	}
	return nil
}

func (s *Simulators) startCarrier(ctx context.Context, cfg Config) (err error) {
	own := cfg.Carrier
	own.Dir = directory(own.Dir, cfg.Dir, "carrier")
	if s.Carrier, err = carrier.New(own); err != nil {
		return fmt.Errorf("start carrier simulator: %w", err)
	}
	s.closers = append(s.closers, s.Carrier.Close)
	if s.CarrierURL, err = s.serve(ctx, cfg.CarrierAddr, s.Carrier.Handler()); err != nil {
		return fmt.Errorf("start carrier simulator: %w", err)
	}
	return nil
}

func (s *Simulators) startInbox(ctx context.Context, cfg Config) (err error) {
	own := cfg.Inbox
	own.Dir = directory(own.Dir, cfg.Dir, "inbox")
	if s.Inbox, err = inbox.New(own); err != nil {
		return fmt.Errorf("start inbox: %w", err)
	}
	s.closers = append(s.closers, s.Inbox.Close)
	l, err := listen(ctx, cfg.InboxSMTPAddr)
	if err != nil {
		return fmt.Errorf("start inbox: %w", err)
	}
	s.SMTPAddr = l.Addr().String()
	s.serving.Go(func() { s.report(s.Inbox.ServeSMTP(l)) })
	if s.InboxURL, err = s.serve(ctx, cfg.InboxAddr, s.Inbox.Handler()); err != nil {
		return fmt.Errorf("start inbox: %w", err)
	}
	return nil
}

func (s *Simulators) startDataplatform(ctx context.Context, cfg Config) (err error) {
	own := cfg.Dataplatform
	own.Dir = directory(own.Dir, cfg.Dir, "dataplatform")
	if s.Dataplatform, err = dataplatform.New(own); err != nil {
		return fmt.Errorf("start data platform: %w", err)
	}
	s.closers = append(s.closers, s.Dataplatform.Close)
	if s.DataplatformURL, err = s.serve(ctx, cfg.DataplatformAddr, s.Dataplatform.Handler()); err != nil {
		return fmt.Errorf("start data platform: %w", err)
	}
	return nil
}

func directory(own, parent, name string) string {
	if own != "" {
		return own
	}
	return filepath.Join(parent, name)
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// serve runs an HTTP server and returns its URL. There is no write time-out:
// some answers are meant to come late.
func (s *Simulators) serve(ctx context.Context, addr string, h http.Handler) (string, error) {
	l, err := listen(ctx, addr)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute}
	s.closers = append(s.closers, server.Close)
	s.serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.report(fmt.Errorf("serve %s: %w", l.Addr(), err))
		}
	})
	return "http://" + l.Addr().String(), nil
}

// report keeps the first failure.
func (s *Simulators) report(err error) {
	if err == nil {
		return
	}
	select {
	case s.failed <- err:
	default:
	}
}

// Failed delivers the error of the first server that stopped by itself.
func (s *Simulators) Failed() <-chan error { return s.failed }

// Close stops the servers, last started first, and waits for them. Requests
// under way are cut; what was acknowledged is on the disk.
func (s *Simulators) Close() error {
	s.once.Do(func() {
		for i := len(s.closers) - 1; i >= 0; i-- {
			s.err = errors.Join(s.err, s.closers[i]())
		}
		s.serving.Wait()
	})
	return s.err
}
