package cluster

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
)

// reach is where a replica reaches what it needs.
type reach struct {
	database string // URL
	broker   string // host:port
	outside  string // host:port; empty if it calls nothing
}

// newReplica makes the next replica of a service and starts it.
func (c *Cluster) newReplica(ctx context.Context, service string) (*Process, error) {
	replica, err := c.vacancy(service)
	if err != nil {
		return nil, err
	}
	p := &Process{
		Service: service, Replica: replica, cluster: c, binary: filepath.Join(c.binaries, service),
		logPath: filepath.Join(c.dir, "log", fmt.Sprintf("%s-%d.log", service, replica)),
	}
	for _, addr := range []*string{&p.httpAddr, &p.adminAddr} {
		if *addr, err = c.ports.addr(ctx); err != nil {
			return nil, err
		}
	}
	reach, err := c.reach(ctx, service, replica)
	if err != nil {
		return nil, err
	}
	p.env = maps.Clone(c.environment(p, reach))
	c.mu.Lock()
	if replica == len(c.processes[service]) {
		c.processes[service] = append(c.processes[service], nil)
	}
	c.processes[service][replica] = p
	c.mu.Unlock()
	return p, p.Start()
}

// vacancy is the lowest number that no replica of the service has.
func (c *Cluster) vacancy(service string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.processes[service] {
		if p == nil {
			return i, nil
		}
	}
	next := len(c.processes[service])
	if most := c.opts.Replicas + c.opts.Spare; next >= most {
		return 0, fmt.Errorf("%s has %d replicas already, the most that Options allow", service, most)
	}
	return next, nil
}

// reach makes the replica's ways, or finds those that a removed one left.
func (c *Cluster) reach(ctx context.Context, service string, replica int) (reach, error) {
	r := reach{database: c.DatabaseURL(service), broker: c.kafka.Addr(), outside: c.outside(service)}
	if !c.opts.Proxied {
		return r, nil
	}
	r.broker = c.Link(service, replica, ToKafka).addr
	database, err := url.Parse(r.database)
	if err != nil {
		return r, fmt.Errorf("parse database URL: %w", err)
	}
	l, err := c.link(ctx, linkKey{service, replica, ToPostgres}, database.Host)
	if err != nil {
		return r, err
	}
	database.Host = l.addr
	r.database = database.String()
	if r.outside == "" {
		return r, nil
	}
	if l, err = c.link(ctx, linkKey{service, replica, ToOutside}, r.outside); err != nil {
		return r, err
	}
	r.outside = l.addr
	return r, nil
}

// outside is what a service calls.
func (c *Cluster) outside(service string) string {
	switch service {
	case "payment":
		return c.simulators.payment
	case "shipping":
		return c.simulators.carrier
	case "mailer":
		return c.simulators.smtp
	case "dataplatform":
		return c.simulators.dataplatform
	default:
		return ""
	}
}

// link returns the link of the key, a new one if there is none.
func (c *Cluster) link(ctx context.Context, key linkKey, upstream string) (*Link, error) {
	if l := c.Link(key.service, key.replica, key.target); l != nil {
		return l, nil
	}
	l, err := c.newLink(ctx, fmt.Sprintf("%s-%d → %s", key.service, key.replica, key.target), upstream)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links[key] = l
	return l, nil
}

// AddReplica starts one more replica of a service and returns when it is ready. Options.Spare bounds it.
func (c *Cluster) AddReplica(ctx context.Context, service string) (*Process, error) {
	p, err := c.newReplica(ctx, service)
	if err != nil {
		return nil, fmt.Errorf("add a replica of %s: %w", service, err)
	}
	return p, p.Ready(ctx)
}

// RemoveReplica ends the last replica of a service in order, and forgets it.
func (c *Cluster) RemoveReplica(ctx context.Context, service string) error {
	replicas := c.Replicas(service)
	if len(replicas) == 0 {
		return fmt.Errorf("remove a replica of %s: there is none", service)
	}
	last := replicas[len(replicas)-1]
	if err := last.Terminate(ctx); err != nil {
		return fmt.Errorf("remove a replica of %s: %w", service, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes[service][last.Replica] = nil
	return nil
}

// startSimulator starts the outside world and returns when it answers.
func (c *Cluster) startSimulator(ctx context.Context) (err error) {
	for _, addr := range []*string{
		&c.simulators.payment, &c.simulators.carrier, &c.simulators.inbox, &c.simulators.smtp, &c.simulators.dataplatform,
	} {
		if *addr, err = c.ports.addr(ctx); err != nil {
			return err
		}
	}
	c.simulator = &Process{
		Service: simulatorName, cluster: c, binary: filepath.Join(c.binaries, simulatorName),
		logPath: filepath.Join(c.dir, "log", "simulator-0.log"), env: c.simulatorEnvironment(),
		httpAddr: c.simulators.inbox, adminAddr: c.simulators.inbox,
	}
	if err := c.simulator.Start(); err != nil {
		return err
	}
	return c.simulator.Ready(ctx)
}
