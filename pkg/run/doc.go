// Package run is the life of a process: configuration from the environment, components started in order and stopped in
// reverse, signals, and the admin port that tells how it is.
package run
