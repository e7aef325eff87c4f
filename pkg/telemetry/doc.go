// Package telemetry sets up what an operator sees of a service: logs, traces and metrics. Nothing in it is global,
// because `quadrille up` runs several services in one process and each must keep its own name.
package telemetry
