package floor

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// The events of an order, in the order of their causes.
const (
	created = iota
	decreased
	paid
	completed
	prepared
	events
)

const (
	price       = 1_000
	productName = "Bench piece"
	pieces      = 1_000_000_000
	points      = 1_000_000_000_000
)

func memberID(n int) string  { return fmt.Sprintf("member-%06d", n) }
func productID(n int) string { return fmt.Sprintf("PRD_%06d", n) }
func addressID(n int) string { return fmt.Sprintf("0190a3a0-0000-7000-8000-%012x", n+1) }

// order is everything that the rows and records of one order are made from.
type order struct {
	id, key, command   string
	member, product    int
	user, goods, place string // their ids, and the address's
	trace              string
	at                 string // the time of all of it, as in events
	hash               []byte
	payment, booking   string
	tracking           string
	events             [events]event
}

// event is one record, as the outbox keeps it and as Kafka takes it.
type event struct {
	id      string
	uuid    pgtype.UUID
	headers []byte // as outbox stores them
	payload []byte
	record  *record
}

// batch is some orders that go through all steps together.
type batch struct {
	orders []order
	at     time.Time
	// products and members say how many orders each has here: their rows are written once a batch.
	products, members tally
	// begun is when the batch was handed out; left counts the chains and relays that have not ended with it.
	begun time.Time
	left  atomic.Int32
}

// tally counts names, sorted by name.
type tally struct {
	names  []string
	counts []int64
}

func tallyOf(orders []order, name func(*order) string) tally {
	counts := make(map[string]int64, len(orders))
	for i := range orders {
		counts[name(&orders[i])]++
	}
	t := tally{names: slices.Sorted(maps.Keys(counts))}
	for _, name := range t.names {
		t.counts = append(t.counts, counts[name])
	}
	return t
}

// maker makes up orders. It is used by one goroutine.
type maker struct {
	cfg  Config
	rng  *rand.Rand
	next int
}

func newMaker(cfg Config) *maker {
	return &maker{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0))}
}

// batch makes n orders. Their times are one time: the steps of a batch are as one moment.
func (m *maker) batch(n int) (*batch, error) {
	b := &batch{orders: make([]order, n), at: time.Now().UTC().Truncate(time.Microsecond)}
	for i := range b.orders {
		o := &b.orders[i]
		m.fill(o, b.at)
		if err := o.encode(b.at, m.cfg.Prefix); err != nil {
			return nil, err
		}
	}
	b.products = tallyOf(b.orders, func(o *order) string { return o.goods })
	b.members = tallyOf(b.orders, func(o *order) string { return o.user })
	return b, nil
}

// fill gives an order its ids. Members and products are drawn at random, unless there are as many as
// orders: then each has its own.
func (m *maker) fill(o *order, at time.Time) {
	o.product, o.member = m.next%m.cfg.Products, m.next%m.cfg.Members
	if m.cfg.Products < m.cfg.Orders {
		o.product = m.rng.IntN(m.cfg.Products)
	}
	if m.cfg.Members < m.cfg.Orders {
		o.member = m.rng.IntN(m.cfg.Members)
	}
	m.next++
	o.at = at.Format(time.RFC3339Nano)
	o.user, o.goods, o.place = memberID(o.member), productID(o.product), addressID(o.member)
	o.id, o.key, o.command = m.id(at).String(), m.id(at).String(), m.id(at).String()
	o.payment, o.booking = m.id(at).String(), "bk_"+m.id(at).String()
	o.tracking = "SIM" + strconv.FormatUint(100_000_000_000_000+m.rng.Uint64N(900_000_000_000_000), 10)
	o.hash = binary.LittleEndian.AppendUint64(nil, m.rng.Uint64())
	for len(o.hash) < 32 {
		o.hash = binary.LittleEndian.AppendUint64(o.hash, m.rng.Uint64())
	}
	if m.cfg.Traced {
		o.trace = "00-" + hex.EncodeToString(o.hash[:16]) + "-" + hex.EncodeToString(o.hash[16:24]) + "-00"
	}
	for i := range o.events {
		e := &o.events[i]
		e.uuid = pgtype.UUID{Bytes: m.id(at), Valid: true}
		e.id = uuid.UUID(e.uuid.Bytes).String()
	}
}

// id is a UUIDv7: the time, and what is random of it from the seed.
func (m *maker) id(at time.Time) uuid.UUID {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], uint64(at.UnixMilli())<<16|m.rng.Uint64N(1<<12)|7<<12)
	binary.BigEndian.PutUint64(u[8:], m.rng.Uint64()>>2|1<<63)
	return u
}
