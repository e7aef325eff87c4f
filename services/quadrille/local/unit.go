package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
)

// unit is one service of the system, running or stopped.
type unit struct {
	name   string
	launch launcher
	place  place

	mu     sync.Mutex
	cancel context.CancelFunc // nil while stopped
	ended  chan struct{}
	err    error // of the end, once ended is closed
}

// launch runs the unit, whose ports are open, until it is stopped.
func (s *System) launch(u *unit) {
	ctx, cancel := context.WithCancel(context.Background())
	u.mu.Lock()
	u.cancel, u.ended = cancel, make(chan struct{})
	ended := u.ended
	u.mu.Unlock()
	go func() {
		defer close(ended)
		err := s.supervise(ctx, u)
		u.mu.Lock()
		u.err = err
		u.mu.Unlock()
	}()
}

// supervise starts a service again when it fails, as an orchestrator does: a service ends itself when
// it cannot go on safely, and counts on that. Before everything was ready once, a failure is most
// likely a mistake in the configuration, and ends the start.
func (s *System) supervise(ctx context.Context, u *unit) error {
	pause := restartPause
	for {
		begin := time.Now()
		err := u.launch(ctx, s.environment(u.name), s.adjust(u))
		u.place.close()
		if ctx.Err() != nil {
			return err
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		select {
		case <-s.started:
		default:
			s.failed <- fmt.Errorf("%s: %w", u.name, err)
			return nil
		}
		if time.Since(begin) > time.Minute {
			pause = restartPause
		}
		s.log.Error("a service failed and is started again", "name", u.name, "pause", pause, "error", err)
		if err := u.reopen(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, restartPauseMax)
	}
}

// reopen waits and takes the unit's ports again. It returns nil with ctx ended, too.
func (u *unit) reopen(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-timer.C:
	}
	if err := u.place.open(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("start %s again: %w", u.name, err)
	}
	return nil
}

// adjust sets what no environment variable can say.
func (s *System) adjust(u *unit) func(*host.Config) {
	return func(c *host.Config) {
		c.HTTPListener, c.AdminListener = u.place.http, u.place.admin
		c.Tuning, c.KafkaOptions = s.cfg.Tuning, s.cfg.KafkaOptions
		c.Telemetry.Output = s.cfg.Log
		c.Feed = s.cfg.Feeds[u.name]
	}
}

// stop ends the service and waits for it; a second stop changes nothing.
func (u *unit) stop(ctx context.Context) error {
	u.mu.Lock()
	cancel, ended := u.cancel, u.ended
	u.cancel = nil
	u.mu.Unlock()
	if cancel == nil {
		u.place.close()
		return nil
	}
	cancel()
	select {
	case <-ended:
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.err
	case <-ctx.Done():
		return fmt.Errorf("stop %s: still running: %w", u.name, ctx.Err())
	}
}

// StopService stops one service in order, as a deployment would.
func (s *System) StopService(ctx context.Context, name string) error {
	u, ok := s.units[name]
	if !ok {
		return fmt.Errorf("stop %s: there is no such service", name)
	}
	return u.stop(ctx)
}

// StartService starts a stopped service on the same ports and returns when it is ready.
func (s *System) StartService(ctx context.Context, name string) error {
	u, ok := s.units[name]
	if !ok {
		return fmt.Errorf("start %s: there is no such service", name)
	}
	u.mu.Lock()
	running := u.cancel != nil
	u.mu.Unlock()
	if running {
		return nil
	}
	if err := u.place.open(ctx); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.launch(u)
	return s.awaitReady(ctx, []string{name})
}

// awaitReady waits until the services say that they are ready, or one of them failed.
func (s *System) awaitReady(ctx context.Context, names []string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for _, name := range names {
		for {
			err := s.ready(ctx, name)
			if err == nil {
				break
			}
			select {
			case failure := <-s.failed:
				return failure
			case <-ctx.Done():
				return fmt.Errorf("wait for %s: %w: %w", name, ctx.Err(), err)
			case <-ticker.C:
			}
		}
	}
	return nil
}

// ready asks a service's /readyz.
func (s *System) ready(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.AdminURL(name)+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(body)))
	}
	return nil
}
