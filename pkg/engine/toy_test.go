package engine_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// toy is a small service of every kind of input: it takes pieces off a product for an order, gives them
// back, restocks by command, calls a label printer outside, and lets holds expire.
type toy struct {
	// mended makes the events harmless that were poison before.
	mended atomic.Bool
	// hopeless counts decisions on the deadline of a hold on the product "hopeless", which fail until mended.
	hopeless atomic.Int64
	// lazy makes events that complete or cancel an order relaxed.
	lazy bool
}

type world struct {
	flow.Calls
	products flow.Rows[string, int64] // pieces left
	orders   flow.Rows[string, reservation]
}

// reservation is what an order has taken. State is taken, short, back (also: a tombstone) or labelled.
type reservation struct {
	state    string
	taken    map[string]int64
	deadline *time.Time
	cause    string
}

// restock is a command on a product; hold one on an order, with a deadline.
type restock struct {
	product string
	pieces  int64
}

func (c restock) Subject() string { return c.product }

type hold struct {
	order   string
	product string
	lasts   time.Duration
}

func (c hold) Subject() string { return c.order }

// delist erases a product.
type delist struct{ product string }

func (c delist) Subject() string { return c.product }

// expire is a hold's deadline, labelled the answer of the label printer.
type expire struct{ order string }

func (d expire) Subject() string { return d.order }

type labelled struct {
	order  string
	number int64
}

func (a labelled) Subject() string { return a.order }

// nobody is a customer whose cancel requests are none of the toy's business.
const nobody = "nobody"

func ofSomebody(e *orderv1.OrderCancelRequested) bool { return e.GetUserId() != nobody }

func (b *toy) definition() *flow.Definition[world] {
	cancelled := flow.On(b.onOrderCancelled).Emits(&stockv1.StockIncreased{})
	completed := flow.On(b.onOrderCompleted).Calls("label")
	if b.lazy {
		cancelled.Relaxed()
		completed.Relaxed()
	}
	return flow.Service("stock",
		flow.On(b.onOrderCreated).Emits(&stockv1.StockDecreased{}, &stockv1.StockDecreaseFailed{}),
		cancelled, completed,
		flow.On(b.onOrderCouponWaived).Calls("label"),
		flow.On(b.onOrderCancelRequested, ofSomebody),
		flow.OnErased(b.onOrderErased),
		flow.OnCommand(b.onRestock).Emits(&stockv1.StockRestocked{}),
		flow.OnCommand(b.onDelist).Erases(&stockv1.ProductListed{}),
		flow.OnCommand(b.onHold).Emits(&stockv1.StockDecreased{}).Calls("label"),
		flow.OnAnswer(b.onLabelled).Emits(&stockv1.LowStockReached{}),
		flow.OnDeadline(b.onExpire).Emits(&stockv1.StockIncreased{}),
	)
}

// unguarded is a customer whose orders take a piece each time they are decided: the toy's own guard would
// hide that a guard of the engine is gone.
const unguarded = "unguarded"

// talkative is a customer whose orders' events come in twos.
const talkative = "talkative"

func (b *toy) onOrderCreated(w *world, e *orderv1.OrderCreated, m flow.Meta) []flow.Event {
	poison := ""
	if !b.mended.Load() {
		poison = e.UserId
	}
	switch poison {
	case "panic":
		panic("this order cannot be decided")
	case "overdraw":
		w.products.Put("overdrawn", -1) // which Save is refused
	default:
		poison = ""
	}
	if _, known := w.orders.Get(e.OrderId); known && e.UserId != unguarded {
		return nil
	}
	r := reservation{state: "taken", taken: map[string]int64{}, cause: m.Cause}
	for _, item := range e.OrderItems {
		r.taken[item.ProductId] += int64(item.Quantity)
	}
	for _, id := range slices.Sorted(maps.Keys(r.taken)) {
		if left, _ := w.products.Get(id); left < r.taken[id] && poison == "" {
			w.orders.Put(e.OrderId, reservation{state: "short"})
			return []flow.Event{&stockv1.StockDecreaseFailed{OrderId: e.OrderId}}
		}
	}
	for id, n := range r.taken {
		left, _ := w.products.Get(id)
		w.products.Put(id, left-n)
	}
	w.orders.Put(e.OrderId, r)
	decreased := &stockv1.StockDecreased{OrderId: e.OrderId, UserId: e.UserId}
	if e.UserId == talkative {
		return []flow.Event{decreased, &stockv1.StockDecreaseFailed{OrderId: e.OrderId}}
	}
	return []flow.Event{decreased}
}

func (b *toy) onOrderCancelled(w *world, e *orderv1.OrderCancelled, _ flow.Meta) []flow.Event {
	r, _ := w.orders.Get(e.OrderId)
	if r.state == "back" {
		return nil
	}
	return b.giveBack(w, e.OrderId, r)
}

func (b *toy) giveBack(w *world, order string, r reservation) []flow.Event {
	for id, n := range r.taken {
		left, _ := w.products.Get(id)
		w.products.Put(id, left+n)
	}
	w.orders.Put(order, reservation{state: "back"})
	w.Withdraw(order, "label")
	return []flow.Event{&stockv1.StockIncreased{OrderId: order}}
}

func (b *toy) onOrderCompleted(w *world, e *orderv1.OrderCompleted, _ flow.Meta) []flow.Event {
	w.Call(flow.Call{Subject: e.OrderId, Kind: "label", Body: map[string]string{"order": e.OrderId, "note": e.UserId}})
	return nil
}

// onOrderCouponWaived asks and takes back, in this order.
func (b *toy) onOrderCouponWaived(w *world, e *orderv1.OrderCouponWaived, _ flow.Meta) []flow.Event {
	w.Call(flow.Call{Subject: e.OrderId, Kind: "label", Body: "never"})
	w.Withdraw(e.OrderId, "label")
	return nil
}

func (b *toy) onOrderCancelRequested(w *world, e *orderv1.OrderCancelRequested, _ flow.Meta) []flow.Event {
	w.Withdraw(e.OrderId, "label")
	return nil
}

func (b *toy) onRestock(w *world, c restock, _ flow.Meta) (flow.Reply, []flow.Event) {
	switch {
	case c.pieces == 13:
		panic("this command cannot be decided")
	case c.pieces <= 0:
		return flow.Refuse(fault.Unprocessable("invalid_field", "pieces must be positive"))
	}
	left, _ := w.products.Get(c.product)
	w.products.Put(c.product, left+c.pieces)
	return flow.Reply{Status: http.StatusOK, Body: map[string]int64{"pieces": left + c.pieces}},
		[]flow.Event{&stockv1.StockRestocked{ProductId: c.product, Quantity: c.pieces, Available: left + c.pieces}}
}

func (b *toy) onDelist(_ *world, c delist, _ flow.Meta) (flow.Reply, []flow.Event) {
	return flow.Reply{Status: http.StatusNoContent}, []flow.Event{flow.Erase(&stockv1.ProductListed{ProductId: c.product})}
}

func (b *toy) onOrderErased(w *world, e flow.Erased[*orderv1.OrderCreated], _ flow.Meta) []flow.Event {
	w.orders.Put(e.SubjectID, reservation{state: "erased"})
	return nil
}

func (b *toy) onHold(w *world, c hold, m flow.Meta) (flow.Reply, []flow.Event) {
	left, _ := w.products.Get(c.product)
	w.products.Put(c.product, left-1)
	until := m.Now.Add(c.lasts)
	w.orders.Put(c.order, reservation{state: "taken", taken: map[string]int64{c.product: 1}, deadline: &until, cause: m.EventID(0)})
	return flow.Reply{Status: http.StatusAccepted}, []flow.Event{&stockv1.StockDecreased{OrderId: c.order}}
}

func (b *toy) onLabelled(w *world, a labelled, _ flow.Meta) []flow.Event {
	r, _ := w.orders.Get(a.order)
	r.state = "labelled"
	w.orders.Put(a.order, r)
	return []flow.Event{&stockv1.LowStockReached{ProductId: a.order, Available: a.number}}
}

func (b *toy) onExpire(w *world, d expire, m flow.Meta) []flow.Event {
	r, _ := w.orders.Get(d.order)
	if r.deadline == nil || r.deadline.After(m.Now) {
		return nil
	}
	if r.taken["hopeless"] > 0 && !b.mended.Load() {
		b.hopeless.Add(1)
		panic("this deadline cannot be decided")
	}
	events := b.giveBack(w, d.order, r)
	return []flow.Event{flow.Because(r.cause, events[0])}
}

// toyStore is the toy's SQL. onSave is called within the transaction, before what it writes goes out, and may add to it.
type toyStore struct {
	onSave func(b *pg.Batch) error
}

const toySchema = `
CREATE TABLE product (
    id       text COLLATE "C" PRIMARY KEY,
    quantity bigint NOT NULL,
    CONSTRAINT stock_never_negative CHECK (quantity >= 0)
);
CREATE TABLE reservation (
    order_id    text COLLATE "C" PRIMARY KEY,
    state       text  NOT NULL,
    taken       jsonb NOT NULL,
    deadline_at timestamptz,
    cause       text  NOT NULL
);`

func migrateToy(ctx context.Context, url string) error {
	if err := engine.Migrate(ctx, url); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, toySchema)
	return err
}

// Load locks the orders, then the products these and the inputs have to do with.
func (s *toyStore) Load(ctx context.Context, tx *pg.Tx, in []flow.Input) (*world, error) {
	w := &world{}
	orders, products := map[string]bool{}, map[string]bool{}
	for _, i := range in {
		orders[i.Subject] = true
		switch msg := i.Msg.(type) {
		case *orderv1.OrderCreated:
			for _, item := range msg.OrderItems {
				if item.ProductId == "panic in Load" {
					panic("this order cannot be loaded")
				}
				products[item.ProductId] = true
			}
		case restock:
			products[msg.product] = true
		case hold:
			products[msg.product] = true
		}
	}
	b := &pg.Batch{}
	b.Queue("load reservations", `
		SELECT order_id, state, taken, deadline_at, cause FROM reservation
		WHERE order_id = ANY($1) ORDER BY order_id FOR NO KEY UPDATE`, slices.Sorted(maps.Keys(orders))).
		Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var id string
				var r reservation
				if err := rows.Scan(&id, &r.state, &r.taken, &r.deadline, &r.cause); err != nil {
					return err
				}
				w.orders.Loaded(id, r)
				for product := range r.taken {
					products[product] = true
				}
			}
			return rows.Err()
		})
	if err := tx.Send(ctx, b); err != nil {
		return nil, err
	}
	b = &pg.Batch{}
	b.Queue("load products", `SELECT id, quantity FROM product WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`,
		slices.Sorted(maps.Keys(products))).
		Query(func(rows pgx.Rows) error {
			var id string
			var left int64
			_, err := pgx.ForEachRow(rows, []any{&id, &left}, func() error { w.products.Loaded(id, left); return nil })
			return err
		})
	return w, tx.Send(ctx, b)
}

func (s *toyStore) Save(b *pg.Batch, w *world) error {
	for _, c := range [][]any{changedOrders(w), changedProducts(w)} {
		if len(c) > 0 {
			b.Queue("save", c[0].(string), c[1:]...)
		}
	}
	if s.onSave != nil {
		return s.onSave(b)
	}
	return nil
}

func changedOrders(w *world) []any {
	var ids, states, causes []string
	var taken []map[string]int64
	var deadlines []*time.Time
	for _, c := range w.orders.Changed() {
		ids, states, causes = append(ids, c.Key), append(states, c.Row.state), append(causes, c.Row.cause)
		taken, deadlines = append(taken, c.Row.taken), append(deadlines, c.Row.deadline)
		if c.Row.taken == nil {
			taken[len(taken)-1] = map[string]int64{}
		}
	}
	if ids == nil {
		return nil
	}
	return []any{
		`
		INSERT INTO reservation (order_id, state, taken, deadline_at, cause)
		SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::timestamptz[], $5::text[])
		ON CONFLICT (order_id) DO UPDATE
		SET state = excluded.state, taken = excluded.taken, deadline_at = excluded.deadline_at, cause = excluded.cause`,
		ids, states, taken, deadlines, causes,
	}
}

func changedProducts(w *world) []any {
	var ids []string
	var left []int64
	for _, c := range w.products.Changed() {
		ids, left = append(ids, c.Key), append(left, c.Row)
	}
	if ids == nil {
		return nil
	}
	return []any{`
		INSERT INTO product (id, quantity) SELECT * FROM unnest($1::text[], $2::bigint[])
		ON CONFLICT (id) DO UPDATE SET quantity = excluded.quantity`, ids, left}
}

func toyDue(ctx context.Context, pool *pgxpool.Pool, limit int) ([]flow.Command, error) {
	rows, err := pool.Query(ctx, `
		SELECT order_id FROM reservation WHERE deadline_at <= clock_timestamp() ORDER BY deadline_at LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (flow.Command, error) {
		var d expire
		return d, row.Scan(&d.order)
	})
}
