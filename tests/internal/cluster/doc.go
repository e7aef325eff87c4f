// Package cluster runs the whole system as it runs in production: every service as several processes of
// its own, Apache Kafka, PostgreSQL with fsync on, the simulators of the outside world, and a proxy on
// every way between them. Tests stop, kill, pause and replace the processes and disturb the ways.
//
// Everything listens on 127.0.0.1 and ends with this process, however it ends. It is for Linux.
//
// Configuration is by environment, as in a container. What differs from production: one Kafka broker
// (DURABILITY=single), topics are made by the services, no limits of requests per second, tokens
// signed by a key of the cluster's own, as `quadrille up` does.
//
// # Ways
//
// Every replica has a [Link] of its own to PostgreSQL, to Kafka and to what it calls outside, so that one
// replica alone can be cut off. A Kafka client dials the address that the broker tells it, so every
// replica also has a listener of the broker of its own, which tells that replica's proxy; listeners for
// replicas that are added later are there from the start.
//
// Gateways and the carrier reach a service through a balancer that stands for a Kubernetes Service: it
// gives each new connection to the next replica that says it is ready.
package cluster
