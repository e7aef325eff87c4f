package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/server/common/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	namespace = "shop"
	taskQueue = "orders"
	// retention is the shortest that Temporal takes.
	retention = 24 * time.Hour
	// stickyCache is how many workflows the worker keeps in memory: all that
	// can be in flight, so that none is rebuilt from its history.
	stickyCache = 10_000
)

// connect registers the namespace and returns a client of it.
func connect(ctx context.Context, frontend string) (client.Client, error) {
	logger := sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	namespaces, err := client.NewNamespaceClient(client.Options{HostPort: frontend, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("connect to the Temporal server: %w", err)
	}
	defer namespaces.Close()
	err = namespaces.Register(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        namespace,
		WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	if err != nil {
		return nil, fmt.Errorf("register the namespace: %w", err)
	}
	c, err := client.DialContext(ctx, client.Options{
		HostPort:  frontend,
		Namespace: namespace,
		Logger:    logger,
		// The SDK compresses by default, for networks; there is none between the two.
		ConnectionOptions: client.ConnectionOptions{GrpcCompression: &client.GrpcCompressionNone{}},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the Temporal server: %w", err)
	}
	return c, nil
}

// newWorker returns the worker that runs workflows and activities.
func newWorker(c client.Client, s settings, shop *Shop) worker.Worker {
	worker.SetStickyWorkflowCacheSize(stickyCache)
	w := worker.New(c, taskQueue, worker.Options{
		WorkflowTaskPollerBehavior:              pollers(s.workflowPollers),
		ActivityTaskPollerBehavior:              pollers(s.activityPollers),
		MaxConcurrentWorkflowTaskExecutionSize:  1000,
		MaxConcurrentActivityExecutionSize:      1000,
		MaxConcurrentLocalActivityExecutionSize: 1000,
		// A task that is lost at the end of a run need not be waited for.
		WorkerStopTimeout: time.Second,
	})
	register(w, shop, s.local)
	return w
}

// pollers are n, or, where n is 0, as many as the server asks for.
func pollers(n int) worker.PollerBehavior {
	if n == 0 {
		return worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{})
	}
	return worker.NewPollerBehaviorSimpleMaximum(worker.PollerBehaviorSimpleMaximumOptions{MaximumNumberOfPollers: n})
}

// serverLogger writes to stderr. Below errors the server tells of every shard
// that it takes; and errors, with their stacks, of each task that its own start
// and stop interrupt, so that even they are not shown unless asked for.
func serverLogger(level string) log.Logger {
	return log.NewZapLogger(log.BuildZapLogger(log.Config{Level: level}))
}

// moduleVersion is the version of a module that is built into this program.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "unknown"
}
