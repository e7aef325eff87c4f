// Package bench measures how fast the system is, on real Apache Kafka and PostgreSQL with fsync, with every
// service, against references that run on the same machine in the same run: a figure in orders per second says
// something about the machine, a ratio says something about the system.
//
// The servers, the services, and the load are processes of their own, so that the CPU of each can be told apart.
// Nothing here asserts a time; see Check for what CI compares, by ratio.
package bench
