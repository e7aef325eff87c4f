// Package up is `quadrille up`: the whole system on a machine that has nothing else, seeded, with its
// data in one folder.
package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/quadrille-io/quadrille/pkg/embed"
	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/simulator"
	"github.com/quadrille-io/quadrille/services/simulator/carrier"
)

// Options of Run.
type Options struct {
	// Dir keeps everything; it is made if it is not there.
	Dir string
	// Fresh removes what is in it first.
	Fresh bool
	// Port of the gateway on 127.0.0.1; if it is taken, the next free one.
	Port int
	// CarrierDelay is when the simulated carrier dispatches a parcel by itself.
	CarrierDelay time.Duration
	// Screen is told what happens.
	Screen io.Writer
}

// portsTried is how many ports after the wanted one are looked at.
const portsTried = 100

// shutdown bounds each part of stopping; PostgreSQL has its own steps within it.
const shutdown = 20 * time.Second

// Run starts everything, says where it is, and works until ctx ends.
func Run(ctx context.Context, o Options) (err error) {
	begin := time.Now()
	say := func(text string) { fmt.Fprintln(o.Screen, "  "+text) }
	fmt.Fprintln(o.Screen, "quadrille: starting in", o.Dir)
	home, err := openHome(o.Dir, o.Fresh)
	if err != nil {
		return err
	}
	defer home.close()
	log, err := openLog(home.path("log"), o.Screen)
	if err != nil {
		return err
	}
	defer log.Close()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)).With("service", "quadrille"))

	p := &parts{options: o, home: home, log: log, say: say}
	defer func() { err = errors.Join(err, p.stop(ctx)) }()
	if err := p.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // interrupted: not a failure
		}
		return fmt.Errorf("%w\n  the log is in %s", err, home.path("log"))
	}
	if err := p.announce(begin); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(o.Screen, "\nquadrille: stopping; what is there stays in", o.Dir)
		return nil
	case <-p.postgres.Done():
		return fmt.Errorf("PostgreSQL ended by itself; its log is in %s", p.postgres.DataDir())
	}
}

// parts are what runs, in the order of their start.
type parts struct {
	options Options
	home    *home
	log     io.Writer
	say     func(string)

	postgres *embed.Postgres
	broker   *embed.Broker
	system   *local.System
}

func (p *parts) start(ctx context.Context) (err error) {
	gateway, err := p.listen(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if p.system == nil {
			_ = gateway.Close() // the system has it otherwise
		}
	}()
	databases, err := p.startPostgres(ctx)
	if err != nil {
		return err
	}
	p.broker, err = embed.StartBroker(ctx, embed.BrokerConfig{DataDir: p.home.path("kafka"), Progress: p.say})
	if err != nil {
		return err
	}
	p.say("starting " + fmt.Sprint(len(local.Services())) + " services")
	p.system, err = local.Start(ctx, local.Config{
		Dir: p.home.dir, Databases: databases, Brokers: p.broker.Addrs(), Gateway: gateway, Log: p.log,
		// A call that was under way when the process was killed is somebody's until its lease ends. Here
		// nobody else can have it, and a person waits: 12 s instead of 30.
		Tuning:     engine.Tuning{CallTimeout: 5 * time.Second, CallLease: 12 * time.Second},
		Simulators: simulator.Config{Carrier: carrier.Config{DispatchDelay: p.options.CarrierDelay}},
	})
	if err != nil {
		return err
	}
	seed, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := p.system.Seed(seed); err != nil {
		return err
	}
	return p.answers(seed)
}

// listen takes the gateway's port, or the next free one.
func (p *parts) listen(ctx context.Context) (net.Listener, error) {
	addr := net.JoinHostPort("127.0.0.1", fmt.Sprint(p.options.Port))
	l, err := run.ListenNext(ctx, addr, portsTried)
	if err != nil {
		return nil, err
	}
	if got := l.Addr().(*net.TCPAddr).Port; got != p.options.Port && p.options.Port != 0 {
		p.say(fmt.Sprintf("port %d is taken: the gateway is on %d", p.options.Port, got))
	}
	return l, nil
}

// startPostgres starts the database server with a database and a role for each service.
func (p *parts) startPostgres(ctx context.Context) (map[string]string, error) {
	var err error
	p.postgres, err = embed.StartPostgres(ctx, embed.PostgresConfig{
		DataDir: p.home.postgres(), Fsync: true, Progress: p.say,
		Settings: map[string]string{"max_connections": "300"},
	})
	if err != nil {
		return nil, err
	}
	if err := p.home.keepPostgresPlace(p.postgres.DataDir()); err != nil {
		return nil, err
	}
	databases := map[string]string{}
	for _, name := range local.Services() {
		if err := p.postgres.CreateDatabase(ctx, name, ""); err != nil {
			return nil, err
		}
		databases[name] = p.postgres.URL(name)
	}
	return databases, nil
}

// stop ends what was started, last first. It takes its own time: ctx may have ended already.
func (p *parts) stop(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	bounded := func(stop func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, shutdown)
		defer cancel()
		errs = append(errs, stop(ctx))
	}
	errs = append(errs, p.home.forget(devEnv))
	if p.system != nil {
		bounded(p.system.Stop)
	}
	if p.broker != nil {
		bounded(p.broker.Stop)
	}
	if p.postgres != nil {
		bounded(p.postgres.Stop)
	}
	return errors.Join(errs...)
}

// binFolder is where this program is, for PATH.
func binFolder() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return filepath.Dir(self), nil
}
