package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// Options of a Cluster. The zero value is two replicas of everything, without proxies.
type Options struct {
	// Dir keeps data and logs; it is left as it is. Empty takes a temporary folder, which Close removes.
	// PostgreSQL may run as a user of its own, so every folder above Dir should be open to all.
	Dir string
	// Replicas of each service, the gateway included; 0 is 2.
	Replicas int
	// Spare is how many replicas AddReplica may add to each service; 0 is 1.
	Spare int
	// Members are customers with an address each; 0 is 10.
	Members int
	// Partitions of every topic; 0 is 12.
	Partitions int32
	// Proxied puts proxies between every replica and what it needs; without it Link returns nil.
	Proxied bool
	// Race builds the services with the race detector, Overlay is a file for `go build -overlay`.
	Race    bool
	Overlay string
	// Binaries is a folder with a program per service and the simulator, built by Build; empty builds.
	Binaries string
	// Environment is added to what every service is told, ServiceEnvironment to what one is; both win.
	Environment        map[string]string
	ServiceEnvironment map[string]map[string]string
	// Log is told what the cluster does; nil discards.
	Log *slog.Logger
}

// Cluster is everything, running. Its methods may be called from many goroutines.
type Cluster struct {
	opts       Options
	log        *slog.Logger
	dir        string
	binaries   string
	temporary  bool
	issuer     *web.Issuer
	secret     string // signs the carrier's webhooks
	ports      *ports
	kafka      *Kafka
	postgres   *Postgres
	toxiproxy  *toxiproxy.ApiServer
	balancers  map[string]*balancer
	simulator  *Process
	simulators addresses

	mu        sync.Mutex
	processes map[string][]*Process // by service; a removed replica leaves nil
	links     map[linkKey]*Link
	deaths    []Death
	closed    bool
}

// Services names every service, each of which has processes and a database.
func Services() []string { return local.Services() }

// simulatorName is the process of the outside world: Process(simulatorName, 0).
const simulatorName = "simulator"

// Start starts everything and returns when every replica says that it is ready. ctx bounds the start
// only. On an error nothing is left running.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	c := newCluster(opts)
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the cluster: %w", err), c.Close())
	}
	return c, nil
}

func newCluster(opts Options) *Cluster {
	opts.Replicas = max(opts.Replicas, 0)
	for _, d := range []struct {
		field *int
		value int
	}{{&opts.Replicas, 2}, {&opts.Spare, 1}, {&opts.Members, 10}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if opts.Partitions == 0 {
		opts.Partitions = 12
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Cluster{
		opts: opts, log: opts.Log, ports: newPorts(), toxiproxy: newToxiproxy(),
		balancers: map[string]*balancer{}, processes: map[string][]*Process{}, links: map[linkKey]*Link{},
	}
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if err := c.startServers(ctx); err != nil {
		return err
	}
	if err := c.startSimulator(ctx); err != nil {
		return err
	}
	for _, service := range Services() {
		for range c.opts.Replicas {
			if _, err := c.newReplica(ctx, service); err != nil {
				return err
			}
		}
	}
	if err := c.Ready(ctx); err != nil {
		return err
	}
	return local.AwaitMembers(ctx, func(service string) string { return c.Replicas(service)[0].URL() }, c.OperatorToken())
}

// prepare makes folders, programs, keys and the members' file.
func (c *Cluster) prepare(ctx context.Context) (err error) {
	c.dir = c.opts.Dir
	if c.dir == "" {
		c.temporary = true
		if c.dir, err = os.MkdirTemp("", "quadrille-cluster-"); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		// PostgreSQL's user has to pass through.
		if err := os.Chmod(c.dir, 0o755); err != nil {
			return fmt.Errorf("open folder: %w", err)
		}
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return err
	}
	for _, sub := range []string{"", "log"} {
		if err := os.MkdirAll(filepath.Join(c.dir, sub), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	if c.binaries = c.opts.Binaries; c.binaries == "" {
		c.binaries = filepath.Join(c.dir, "bin")
		if err := Build(ctx, Program{Dir: c.binaries, Race: c.opts.Race, Overlay: c.opts.Overlay}); err != nil {
			return err
		}
	}
	c.issuer, err = web.LoadOrCreateIssuer(filepath.Join(c.dir, "token.key"), tokenIssuer, tokenAudience)
	if err != nil {
		return err
	}
	if c.secret, err = loadSecret(filepath.Join(c.dir, "webhook.secret")); err != nil {
		return err
	}
	return writeMembers(c.membersFile(), c.opts.Members)
}

// Ready waits until every replica that is meant to run is ready, and is given work.
func (c *Cluster) Ready(ctx context.Context) error {
	for _, p := range c.Processes() {
		if !p.Wanted() {
			continue
		}
		if err := p.Ready(ctx); err != nil {
			return err
		}
	}
	for _, b := range c.balancers {
		b.look(ctx)
	}
	return nil
}

// Close ends everything at once and, where the folder is the cluster's own, removes the data.
func (c *Cluster) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	for _, b := range c.balancers {
		b.close()
	}
	for _, p := range c.Processes() {
		p.Kill()
	}
	if c.simulator != nil {
		c.simulator.Kill()
	}
	c.mu.Lock()
	links := c.links
	c.links = nil
	c.mu.Unlock()
	for _, l := range links {
		l.close()
	}
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if c.kafka != nil {
		c.kafka.Kill()
	}
	if c.postgres != nil {
		errs = append(errs, c.postgres.stop(ctx))
	}
	c.ports.release()
	if c.temporary {
		if c.postgres != nil && c.postgres.dataDir() != "" {
			errs = append(errs, os.RemoveAll(c.postgres.dataDir()))
		}
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

// Dir keeps data and logs; logs are in its folder log.
func (c *Cluster) Dir() string { return c.dir }

// Gateways are the base URLs of the gateway's replicas, whether they run or not.
func (c *Cluster) Gateways() []string {
	var urls []string
	for _, p := range c.Replicas("gateway") {
		urls = append(urls, p.URL())
	}
	return urls
}

// Token signs a customer's token that is valid for 30 days.
func (c *Cluster) Token(member string) string { return c.sign(member) }

// OperatorToken signs a token of an operator.
func (c *Cluster) OperatorToken() string { return c.sign(local.Operator, web.RoleOperator) }

func (c *Cluster) sign(subject string, roles ...string) string {
	token, err := c.issuer.Token(subject, roles, 30*24*time.Hour)
	if err != nil {
		panic(err) // strings and a key that was loaded: signing cannot fail
	}
	return token
}

// DatabaseURL is a service's database, reached directly.
func (c *Cluster) DatabaseURL(service string) string { return c.postgres.URL(service) }

// Brokers are Kafka's addresses, reached directly.
func (c *Cluster) Brokers() []string { return []string{c.kafka.Addr()} }

// Simulator is the base URL of the payment provider; Carrier and Inbox are those of the others.
func (c *Cluster) Simulator() string { return c.simulators.url(c.simulators.payment) }

// Carrier is the base URL of the carrier's simulator.
func (c *Cluster) Carrier() string { return c.simulators.url(c.simulators.carrier) }

// Inbox is the base URL of the mail inbox.
func (c *Cluster) Inbox() string { return c.simulators.url(c.simulators.inbox) }

// Dataplatform is the base URL of the data platform: GET /received tells what came.
func (c *Cluster) Dataplatform() string { return c.simulators.url(c.simulators.dataplatform) }

// Kafka is the broker, Postgres the database server.
func (c *Cluster) Kafka() *Kafka { return c.kafka }

// Postgres is the database server.
func (c *Cluster) Postgres() *Postgres { return c.postgres }

// Process is one replica of a service, counted from 0; ("simulator", 0) is the outside world. It is nil
// if there is none.
func (c *Cluster) Process(service string, replica int) *Process {
	if service == simulatorName {
		return c.simulator
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if replica < 0 || replica >= len(c.processes[service]) {
		return nil
	}
	return c.processes[service][replica]
}

// Replicas are the replicas of a service that are not removed.
func (c *Cluster) Replicas(service string) []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.processes[service]), func(p *Process) bool { return p == nil })
}

// Processes are all replicas of all services, without the simulator.
func (c *Cluster) Processes() []*Process {
	var all []*Process
	for _, service := range Services() {
		all = append(all, c.Replicas(service)...)
	}
	return all
}

// Link is the way between a replica and a target; nil if the cluster has no proxies or no such replica.
func (c *Cluster) Link(service string, replica int, target Target) *Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links[linkKey{service, replica, target}]
}

// Deaths are the ends of processes that nobody asked for, oldest first.
func (c *Cluster) Deaths() []Death {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.deaths)
}
