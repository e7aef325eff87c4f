package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// noLimit is what every rate limit of the server is set to: none of them is to
// decide what comes out.
const noLimit = 1_000_000

// server is a Temporal server inside this process.
type server struct {
	temporal.Server
	// frontend is the host:port that clients dial.
	frontend string
}

var services = []primitives.ServiceName{
	primitives.FrontendService,
	primitives.HistoryService,
	primitives.MatchingService,
	primitives.WorkerService,
}

// startServer starts all four services on free ports of 127.0.0.1.
func startServer(d databases, s settings, logger log.Logger) (*server, error) {
	ports, err := freePorts(len(services))
	if err != nil {
		return nil, fmt.Errorf("find free ports: %w", err)
	}
	hosts := map[primitives.ServiceName]static.Hosts{}
	rpc := map[string]config.Service{}
	var names []string
	for i, name := range services {
		names = append(names, string(name))
		hosts[name] = static.SingleLocalHost(net.JoinHostPort(localhost, strconv.Itoa(ports[i])))
		rpc[string(name)] = config.Service{RPC: config.RPC{GRPCPort: ports[i], BindOnIP: localhost}}
	}
	frontend := hosts[primitives.FrontendService].Self
	dynamic, err := dynamicConfig(s)
	if err != nil {
		return nil, err
	}
	started, err := temporal.NewServer(
		temporal.WithConfig(serverConfig(d, s, rpc, frontend)),
		temporal.ForServices(names),
		temporal.WithStaticHosts(hosts),
		temporal.WithDynamicConfigClient(dynamic),
		temporal.WithLogger(logger),
		temporal.WithCustomMetricsHandler(metrics.NoopMetricsHandler),
	)
	if err != nil {
		return nil, fmt.Errorf("configure the Temporal server: %w", err)
	}
	if err := started.Start(); err != nil {
		return nil, fmt.Errorf("start the Temporal server: %w", err)
	}
	return &server{Server: started, frontend: frontend}, nil
}

const (
	localhost   = "127.0.0.1"
	clusterName = "active"
	storeName   = "store"
	visibleName = "visibility"
)

func serverConfig(d databases, s settings, rpc map[string]config.Service, frontend string) *config.Config {
	const disabled = "disabled"
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: localhost},
		},
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  visibleName,
			NumHistoryShards: int32(s.shards),
			DataStores: map[string]config.DataStore{
				storeName:   {SQL: d.sql(d.store, s.connections)},
				visibleName: {SQL: d.sql(d.visibility, s.connections)},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            rpc,
		PublicClient:        config.PublicClient{HostPort: frontend},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: disabled},
			Visibility: config.VisibilityArchival{State: disabled},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: disabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: disabled},
		}},
	}
}

// dynamicConfig lifts every limit, and turns off what a fresh cluster does
// besides the orders.
func dynamicConfig(s settings) (dynamicconfig.Client, error) {
	client := dynamicconfig.StaticClient{
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  s.partitions,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): s.partitions,
		dynamicconfig.ShardIOConcurrency.Key():                  s.shardIO,
		// A fresh cluster takes its shards over before the first order.
		dynamicconfig.AcquireShardConcurrency.Key(): 64,
		// The worker for schedules and batches of each namespace, and the
		// scans for rubbish, have nothing to do here.
		dynamicconfig.WorkerEnableScheduler.Key():         false,
		dynamicconfig.EnableBatcherNamespace.Key():        false,
		dynamicconfig.HistoryScannerEnabled.Key():         false,
		dynamicconfig.TaskQueueScannerEnabled.Key():       false,
		dynamicconfig.WorkerPerNamespaceWorkerCount.Key(): 0,
	}
	for _, key := range []dynamicconfig.Key{
		dynamicconfig.FrontendRPS.Key(),
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key(),
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(),
		dynamicconfig.FrontendMaxConcurrentLongRunningRequestsPerInstance.Key(),
		dynamicconfig.FrontendPersistenceMaxQPS.Key(),
		dynamicconfig.HistoryRPS.Key(),
		dynamicconfig.HistoryPersistenceMaxQPS.Key(),
		dynamicconfig.MatchingRPS.Key(),
		dynamicconfig.MatchingPersistenceMaxQPS.Key(),
		dynamicconfig.WorkerPersistenceMaxQPS.Key(),
		dynamicconfig.VisibilityPersistenceMaxReadQPS.Key(),
		dynamicconfig.VisibilityPersistenceMaxWriteQPS.Key(),
		dynamicconfig.TransferProcessorMaxPollRPS.Key(),
		dynamicconfig.TimerProcessorMaxPollRPS.Key(),
		dynamicconfig.VisibilityProcessorMaxPollRPS.Key(),
	} {
		client[key] = noLimit
	}
	for key, value := range s.dynamic {
		parsed, err := dynamicValue(value)
		if err != nil {
			return nil, fmt.Errorf("-dynamic %s: %w", key, err)
		}
		client[dynamicconfig.MakeKey(key)] = parsed
	}
	return client, nil
}

// dynamicValue reads a value as its YAML file would: a number, a truth value,
// or text (durations are text there too).
func dynamicValue(value string) (any, error) {
	if value == "" {
		return nil, fmt.Errorf("no value")
	}
	if n, err := strconv.Atoi(value); err == nil {
		return n, nil
	}
	if b, err := strconv.ParseBool(value); err == nil {
		return b, nil
	}
	return value, nil
}

// stop ends the server within the time that ctx leaves it.
func (s *server) stop(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Stop() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("stop the Temporal server: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the Temporal server: %w", ctx.Err())
	}
}

// freePorts finds n free ports. All are held until the last is found, so that
// no two are the same.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(localhost, "0"))
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
