package simulator

import (
	"hash/fnv"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

// fact is one event as it was emitted.
type fact struct {
	id      string
	cause   string
	root    string
	full    string // quadrille.stock.v1.StockDecreased
	name    string // StockDecreased
	topic   int
	subject string
	seq     int // ce_sequence
	at      time.Time
	message proto.Message
}

// factOf names an event; what the envelope adds is filled in by emit.
func factOf(m proto.Message) *fact {
	d := m.ProtoReflect().Descriptor()
	full := string(d.FullName())
	return &fact{full: full, name: string(d.Name()), topic: slices.Index(topics[:], flow.Topic(full)), message: m}
}

// topics are numbered as the services that own them. The mailer has none.
var topics = [...]string{"order.v1", "stock.v1", "coupon.v1", "payment.v1", "shipping.v1"}

// slot is a partition of a topic.
type slot int

// broker holds an append-only log per partition. What it has acknowledged it never loses.
type broker struct {
	*sim
	partitions int
	logs       [][]*fact // by slot
	down       bool
}

func newBroker(s *sim, partitions int) *broker {
	return &broker{sim: s, partitions: partitions, logs: make([][]*fact, len(topics)*partitions)}
}

// slotOf is where a fact goes: its key decides, for ever.
func (b *broker) slotOf(f *fact) slot {
	h := fnv.New32a()
	_, _ = h.Write([]byte(f.subject)) // never fails
	return slot(f.topic*b.partitions + int(h.Sum32()%uint32(b.partitions)))
}

// slots lists the partitions of a topic.
func (b *broker) slots(topic int) []slot {
	all := make([]slot, b.partitions)
	for p := range all {
		all[p] = slot(topic*b.partitions + p)
	}
	return all
}

// topicOf is the topic of a partition.
func (b *broker) topicOf(s slot) int { return int(s) / b.partitions }

// append takes one produce request: all of it in order, or nothing.
func (b *broker) append(at slot, facts []*fact) {
	for _, f := range facts {
		b.oracle.published(at, f)
		b.logs[at] = append(b.logs[at], f)
	}
	for _, v := range b.services {
		if v.reads(b.topicOf(at)) {
			for _, f := range facts {
				v.poison(f)
			}
			for _, r := range v.replicas {
				if r.alive {
					r.consumer.look(at)
				}
			}
		}
	}
}
