package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Component is a part of the process with a beginning and an end. Any of its functions may be nil.
type Component struct {
	Name string
	// Start returns when the component is usable; the next one starts after it. Work that ends by itself (a migration,
	// a seed) is a Start and nothing else.
	Start func(ctx context.Context) error
	// Run works until its context ends. Returning earlier, with an error or without, stops the group.
	Run func(ctx context.Context) error
	// Stop ends the component in an orderly way, before Run's context is cancelled: an HTTP server drains here. Its
	// context ends at StopTimeout.
	Stop func(ctx context.Context) error
	// StopTimeout bounds Stop and the end of Run together; 0 is 10 s. After it the group goes on without it.
	StopTimeout time.Duration
}

// Group runs components together. The first error stops all of them.
type Group struct {
	log        *slog.Logger
	components []Component
}

// NewGroup returns an empty group; nil is slog's default logger.
func NewGroup(log *slog.Logger) *Group {
	if log == nil {
		log = slog.Default()
	}
	return &Group{log: log}
}

// Add appends a component: it starts after and stops before those added earlier.
func (g *Group) Add(c Component) { g.components = append(g.components, c) }

// Run starts all components in order, waits for ctx to end or for the first of them to fail, and stops what was
// started in reverse order. It returns nil if ctx ended it and everything stopped well.
func (g *Group) Run(ctx context.Context) error {
	// Components do not run under ctx: its end would reach all of them in the same moment, and the database would be
	// gone while the relay still drains. Each has a context of its own, cancelled when its turn to stop has come.
	detached := context.WithoutCancel(ctx)
	failed := make(chan error, len(g.components))
	var started []*running
	var errs []error
	for _, c := range g.components {
		r, err := g.start(ctx, detached, c, failed)
		if err != nil {
			// A start that was interrupted by the signal is not a failure.
			if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
				errs = append(errs, err)
			}
			break
		}
		started = append(started, r)
	}
	if len(started) == len(g.components) {
		select {
		case <-ctx.Done():
			g.log.InfoContext(detached, "stopping", "cause", context.Cause(ctx))
		case err := <-failed:
			errs = append(errs, err)
		}
	}
	for i := len(started) - 1; i >= 0; i-- {
		if err := started[i].stop(detached); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

type running struct {
	Component
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	stopping bool
	err      error
}

func (g *Group) start(ctx, detached context.Context, c Component, failed chan<- error) (*running, error) {
	if c.StopTimeout <= 0 {
		c.StopTimeout = 10 * time.Second
	}
	if c.Start != nil {
		begin := time.Now()
		if err := c.Start(ctx); err != nil {
			return nil, fmt.Errorf("start %s: %w", c.Name, err)
		}
		g.log.DebugContext(detached, "started", "component", c.Name, "ms", time.Since(begin).Milliseconds())
	}
	runCtx, cancel := context.WithCancel(detached)
	r := &running{Component: c, cancel: cancel, ended: make(chan struct{})}
	if c.Run == nil {
		close(r.ended)
		return r, nil
	}
	go r.run(runCtx, failed)
	return r, nil
}

func (r *running) run(ctx context.Context, failed chan<- error) {
	defer close(r.ended)
	err := r.Run(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopping:
		if err != nil && !errors.Is(err, context.Canceled) {
			r.err = fmt.Errorf("run %s: %w", r.Name, err)
		}
	case err == nil:
		failed <- fmt.Errorf("run %s: ended by itself", r.Name)
	default:
		failed <- fmt.Errorf("run %s: %w", r.Name, err)
	}
}

func (r *running) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.StopTimeout)
	defer cancel()
	defer r.cancel()
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	var errs []error
	if r.Stop != nil {
		if err := r.Stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", r.Name, err))
		}
	}
	r.cancel()
	select {
	case <-r.ended:
		r.mu.Lock()
		defer r.mu.Unlock()
		errs = append(errs, r.err)
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("stop %s: still running after %s", r.Name, r.StopTimeout))
	}
	return errors.Join(errs...)
}
