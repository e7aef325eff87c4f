package bench

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// way is the events of an order that is completed, in their order. Each is decided by a service, and then published.
var way = []string{"order.v1.OrderCreated", "stock.v1.StockDecreased", "payment.v1.PaymentCompleted", completedEvent}

// completedEvent is the last of the way.
const completedEvent = "order.v1.OrderCompleted"

// wayTopics are where these are.
var wayTopics = []string{"order.v1", "stock.v1", "payment.v1"}

// moments of an event: when the service decided on it, which is when its transaction began to write, and when its
// record was handed to Kafka's client. The first is known to the microsecond, the second to the millisecond.
type moments struct{ decided, published time.Time }

// journey is one order's.
type journey struct {
	placed time.Time
	events [4]moments
}

// complete says whether every event was seen.
func (j *journey) complete() bool {
	return !slices.ContainsFunc(j.events[:], func(m moments) bool { return m.published.IsZero() })
}

// legs are how long each part of the way took: until it was decided, and from then until it was handed to Kafka, of
// each event in turn.
func (j *journey) legs() (all [2 * 4]time.Duration) {
	since := j.placed
	for i, m := range j.events {
		all[2*i], all[2*i+1] = m.decided.Sub(since), m.published.Sub(m.decided)
		since = m.published
	}
	return all
}

// Steps are the parts of the way of many orders, from where they were placed to where their completion was handed to
// Kafka. The events are read after everything was at rest: that costs the orders nothing.
type Steps struct{ journeys []*journey }

// Position is where the topics of the way end at some moment.
type Position struct {
	brokers []string
	prefix  string
	ends    kadm.ListedOffsets
}

// Here is where the system's topics end now.
func (y *System) Here(ctx context.Context) (Position, error) {
	return position(ctx, y.site.Kafka.Addrs(), y.prefix)
}

func position(ctx context.Context, brokers []string, prefix string) (Position, error) {
	p := Position{brokers: brokers, prefix: prefix}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return p, fmt.Errorf("ask for the ends of the topics: %w", err)
	}
	defer client.Close()
	topics := make([]string, 0, len(wayTopics))
	for _, topic := range wayTopics {
		topics = append(topics, prefix+topic)
	}
	p.ends, err = kadm.NewClient(client).ListEndOffsets(ctx, topics...)
	if err == nil {
		err = p.ends.Error()
	}
	if err != nil {
		return p, fmt.Errorf("ask for the ends of the topics: %w", err)
	}
	return p, nil
}

// Steps reads what was published after p, and where the orders spent their time.
func (p Position) Steps(ctx context.Context) (Steps, error) {
	to, err := position(ctx, p.brokers, p.prefix)
	if err != nil {
		return Steps{}, err
	}
	offsets, records := map[string]map[int32]kgo.Offset{}, int64(0)
	to.ends.Each(func(o kadm.ListedOffset) {
		begin, _ := p.ends.Lookup(o.Topic, o.Partition)
		if o.Offset == begin.Offset {
			return
		}
		records += o.Offset - begin.Offset
		if offsets[o.Topic] == nil {
			offsets[o.Topic] = map[int32]kgo.Offset{}
		}
		offsets[o.Topic][o.Partition] = kgo.NewOffset().At(begin.Offset)
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(p.brokers...), kgo.ConsumePartitions(offsets))
	if err != nil {
		return Steps{}, fmt.Errorf("read the steps: %w", err)
	}
	defer client.Close()
	return gather(ctx, client, records)
}

// gather reads that many records and sorts them by order.
func gather(ctx context.Context, client *kgo.Client, records int64) (s Steps, err error) {
	orders := map[string]*journey{}
	for read := int64(0); read < records; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return s, fmt.Errorf("read the steps: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			if e := note(orders, r); e != nil {
				err = cmp.Or(err, e)
			}
		})
		if err != nil {
			return s, err
		}
	}
	for _, j := range orders {
		if j.complete() {
			s.journeys = append(s.journeys, j)
		}
	}
	return s, nil
}

// note enters an event into its order's journey, if it is on the way.
func note(orders map[string]*journey, r *kgo.Record) error {
	at := slices.IndexFunc(way, func(name string) bool { return kafka.Type(r) == "quadrille."+name })
	if at < 0 {
		return nil
	}
	e, err := kafka.ParseEnvelope(r)
	if err != nil {
		return fmt.Errorf("read the steps: %w", err)
	}
	j := orders[e.Subject]
	if j == nil {
		id, err := uuid.Parse(e.Subject)
		if err != nil {
			return fmt.Errorf("read the steps of order %q: %w", e.Subject, err)
		}
		j = &journey{placed: placedAt(id)}
		orders[e.Subject] = j
	}
	j.events[at] = moments{decided: e.Time, published: r.Timestamp}
	return nil
}

// placedAt is when the id was made, to the millisecond: an order's id (a UUID of version 7) is made when it is placed,
// by the feed as well as by the service.
func placedAt(id uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16))
}

// Write prints the parts of the way, in milliseconds. The means add up to the whole; quantiles do not.
func (s Steps) Write(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(table, "where %d orders were\tmean\tp50\tp95\tp99 ms\n", len(s.journeys))
	var legs [2 * 4][]time.Duration
	var whole []time.Duration
	for _, j := range s.journeys {
		for i, leg := range j.legs() {
			legs[i] = append(legs[i], leg)
		}
		whole = append(whole, j.events[len(way)-1].published.Sub(j.placed))
	}
	since := "placed"
	for i, name := range way {
		writeLeg(table, since+" → "+name+" decided", legs[2*i])
		writeLeg(table, "  decided → handed to Kafka", legs[2*i+1])
		since = "handed over"
	}
	writeLeg(table, "placed → "+completedEvent+" handed to Kafka", whole)
	return table.Flush()
}

func writeLeg(w io.Writer, name string, all []time.Duration) {
	l := latencyOf(all)
	fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.1f\n", name, mean(all), l.P50, l.P95, l.P99)
}

// mean in milliseconds.
func mean(all []time.Duration) float64 {
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	return ratio(float64(sum.Microseconds())/1000, float64(len(all)))
}
