package embed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kfake"
)

// BrokerConfig says how the Kafka-protocol broker inside this process runs.
type BrokerConfig struct {
	// DataDir keeps topics, records, groups and offsets; they survive a
	// kill -9 of the process. Empty means in memory only. One process at a
	// time.
	DataDir string
	// Port on 127.0.0.1; 0 means one that is free.
	Port int
	// SyncWrites makes every acknowledged record survive a crash of the
	// machine, not only of the process. Slower.
	SyncWrites bool
	// Options are added to the broker's own, for tests (SASL, ACLs, more
	// brokers, configuration).
	Options []kfake.Opt
	// Progress is told, in words for a person, what takes time; may be nil.
	Progress func(string)
}

// Broker is a running Kafka-protocol broker: one node, topics are created by
// request only (no auto-creation), as in production.
type Broker struct {
	// Cluster controls the broker from tests: faults, control functions,
	// topics, groups. Do not close it; Stop does.
	Cluster *kfake.Cluster

	lock *fileLock
}

// StartBroker starts a broker; it accepts connections when this returns.
func StartBroker(ctx context.Context, cfg BrokerConfig) (*Broker, error) {
	b := &Broker{}
	opts := []kfake.Opt{kfake.NumBrokers(1), kfake.ClusterID("quadrille")}
	if cfg.Port != 0 {
		opts = append(opts, kfake.Ports(cfg.Port))
	}
	if cfg.SyncWrites {
		opts = append(opts, kfake.SyncWrites())
	}
	if cfg.DataDir != "" {
		dir, err := filepath.Abs(cfg.DataDir)
		if err == nil {
			err = os.MkdirAll(dir, 0o700)
		}
		if err != nil {
			return nil, fmt.Errorf("start broker: make data folder: %w", err)
		}
		// The broker takes no lock itself: two on one folder would overwrite
		// each other's records. Ours lies beside its files, not among them.
		if b.lock, err = lockData(ctx, dir, reporter(cfg.Progress)); err != nil {
			return nil, fmt.Errorf("start broker: %w", err)
		}
		opts = append(opts, kfake.DataDir(filepath.Join(dir, "log")))
	}
	var err error
	b.Cluster, err = kfake.NewCluster(append(opts, cfg.Options...)...)
	if err != nil {
		if b.lock != nil {
			b.lock.unlock()
		}
		return nil, fmt.Errorf("start broker: %w", err)
	}
	return b, nil
}

// Addrs returns the host:port of every node.
func (b *Broker) Addrs() []string { return b.Cluster.ListenAddrs() }

// Stop closes the broker. What was acknowledged is in the data folder. It does
// not wait longer than ctx lasts.
func (b *Broker) Stop(ctx context.Context) error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		b.Cluster.Close()
		if b.lock != nil {
			b.lock.unlock()
		}
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("stop broker: still writing"), ctx.Err())
	}
}
