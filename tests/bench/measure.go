package bench

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// Use is what something cost, per order where it says so.
type Use struct {
	// Microseconds of CPU per order, of each process.
	Postgres float64 `json:"postgres_us"`
	Kafka    float64 `json:"kafka_us"`
	Services float64 `json:"services_us"`
	// Simulators are the outside world: the card provider, the carrier and the mail server.
	Simulators float64 `json:"simulators_us"`
	// Load is the customers, where they come over REST; a feed and the tracker of the ends are in Services.
	Load float64 `json:"load_us,omitempty"`
	// Total of all processes: what an order takes of the machine.
	Total float64 `json:"total_us"`
	// DatabaseBytes and KafkaBytes per order.
	DatabaseBytes float64 `json:"database_bytes"`
	KafkaBytes    float64 `json:"kafka_bytes"`
}

func (u Use) String() string {
	return fmt.Sprintf("%.0f µs (PostgreSQL %.0f, Kafka %.0f, services %.0f, simulators %.0f, load %.0f)",
		u.Total, u.Postgres, u.Kafka, u.Services, u.Simulators, u.Load)
}

// Measured is an outcome with its cost.
type Measured struct {
	Outcome
	Use Use `json:"use"`
}

// meter reads the clocks of all processes.
type meter struct {
	postgres, kafka, services, simulators, load time.Duration
	database, log                               int64
}

func (y *System) meter(ctx context.Context) (m meter, err error) {
	for _, p := range []struct {
		pid  int
		into *time.Duration
	}{{y.site.Postgres.Pid(), &m.postgres}, {y.site.Kafka.Pid(), &m.kafka}, {y.Place.Pid, &m.services}, {y.serving.Outside.Pid, &m.simulators}} {
		if *p.into, err = CPU(p.pid); err != nil {
			return m, err
		}
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return m, err
	}
	m.load = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	if m.database, err = y.databaseBytes(ctx); err != nil {
		return m, err
	}
	m.log, err = y.site.kafkaBytes(y.prefix)
	return m, err
}

// Measure runs a load and says what it cost until everything was at rest.
func (y *System) Measure(ctx context.Context, load func(context.Context) (Outcome, error)) (Measured, error) {
	before, err := y.meter(ctx)
	if err != nil {
		return Measured{}, err
	}
	o, err := load(ctx)
	if err != nil {
		return Measured{}, err
	}
	after, err := y.meter(ctx)
	if err != nil {
		return Measured{}, err
	}
	n := float64(max(1, o.Completed+o.Cancelled))
	us := func(a, b time.Duration) float64 { return float64((a - b).Microseconds()) / n }
	use := Use{
		Postgres: us(after.postgres, before.postgres), Kafka: us(after.kafka, before.kafka),
		Services: us(after.services, before.services), Simulators: us(after.simulators, before.simulators),
		Load:          us(after.load, before.load),
		DatabaseBytes: float64(after.database-before.database) / n, KafkaBytes: float64(after.log-before.log) / n,
	}
	use.Total = use.Postgres + use.Kafka + use.Services + use.Simulators + use.Load
	return Measured{o, use}, nil
}
