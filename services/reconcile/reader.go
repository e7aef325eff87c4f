package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/reconcile/book"
)

// Get asks the gateway for a path with a query and decodes the JSON answer, as an operator.
type Get func(ctx context.Context, path string, out any) error

// Reader reads the services' books.
type Reader struct {
	Get Get
	// Page is how many rows are asked for at once; 0 is 500.
	Page int
	// Pause is waited after each page: the books are read beside a shop that has to go on.
	Pause time.Duration
}

// ErrUnread is wrapped by every failure to read: what was not read was not compared.
var ErrUnread = errors.New("could not be read")

const (
	pageSize = 500
	idsAtOne = 100
)

// page reads one page of a book.
func page[T any](ctx context.Context, r Reader, service, name string, query url.Values) (rows []T, more bool, err error) {
	var list struct {
		Data    []T  `json:"data"`
		HasMore bool `json:"hasMore"`
	}
	if err := r.Get(ctx, "/ops/v1/books/"+service+"/"+name+"?"+query.Encode(), &list); err != nil {
		return nil, false, fmt.Errorf("%s: book %s: %w: %w", service, name, ErrUnread, err)
	}
	return list.Data, list.HasMore, r.pause(ctx)
}

func (r Reader) pause(ctx context.Context) error {
	if r.Pause == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(r.Pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// each reads a whole book in the order of its keys.
func each[T any](ctx context.Context, r Reader, service, name string, key func(T) string, visit func(T)) error {
	c := cursor[T]{service: service, name: name, key: key}
	for {
		row, err := c.peek(ctx, r)
		if err != nil || row == nil {
			return err
		}
		visit(*row)
		c.next()
	}
}

// byID reads the rows of the keys.
func byID[T any](ctx context.Context, r Reader, service, name string, ids []string, visit func(T)) error {
	for chunk := range slices.Chunk(ids, idsAtOne) {
		rows, _, err := page[T](ctx, r, service, name, url.Values{"id": chunk, "limit": {strconv.Itoa(2 * idsAtOne)}})
		if err != nil {
			return err
		}
		for _, row := range rows {
			visit(row)
		}
	}
	return nil
}

// cursor goes through a book row by row and reads the next page when it needs one.
type cursor[T any] struct {
	service, name string
	key           func(T) string

	rows  []T
	after string
	ended bool
}

// peek returns the row the cursor stands on, nil at the end.
func (c *cursor[T]) peek(ctx context.Context, r Reader) (*T, error) {
	if len(c.rows) == 0 && !c.ended {
		size := r.Page
		if size == 0 {
			size = pageSize
		}
		rows, more, err := page[T](ctx, r, c.service, c.name, url.Values{"startingAfter": {c.after}, "limit": {strconv.Itoa(size)}})
		if err != nil {
			return nil, err
		}
		c.rows, c.ended = rows, !more
		if len(rows) > 0 {
			c.after = c.key(rows[len(rows)-1])
		}
	}
	if len(c.rows) == 0 {
		return nil, nil
	}
	return &c.rows[0], nil
}

func (c *cursor[T]) next() { c.rows = c.rows[1:] }

// source is one service's book of orders, whatever its rows are.
type source interface {
	// head is the order the source stands on, "" at the end.
	head(ctx context.Context, r Reader) (string, error)
	// take puts the row into the view and goes on.
	take(v *View)
	// look reads the rows of some orders into their views.
	look(ctx context.Context, r Reader, ids []string, views map[string]*View) error
}

type ordersOf[T any] struct {
	cursor[T]
	put func(*View, *T)
}

// head implements source.
func (s *ordersOf[T]) head(ctx context.Context, r Reader) (string, error) {
	row, err := s.peek(ctx, r)
	if err != nil || row == nil {
		return "", err
	}
	return s.key(*row), nil
}

// take implements source.
func (s *ordersOf[T]) take(v *View) {
	row := s.rows[0]
	s.put(v, &row)
	s.next()
}

// look implements source.
func (s *ordersOf[T]) look(ctx context.Context, r Reader, ids []string, views map[string]*View) error {
	return byID(ctx, r, s.service, s.name, ids, func(row T) {
		if v := views[s.key(row)]; v != nil {
			s.put(v, &row)
		}
	})
}

func orders[T any](service string, key func(T) string, put func(*View, *T)) source {
	return &ordersOf[T]{cursor: cursor[T]{service: service, name: "orders", key: key}, put: put}
}

// sources are all books of orders.
func sources() []source {
	return []source{
		orders("order", func(x book.Order) string { return x.OrderID }, func(v *View, x *book.Order) { v.Order = x }),
		orders("stock", func(x book.Reservation) string { return x.OrderID }, func(v *View, x *book.Reservation) { v.Stock = x }),
		orders("coupon", func(x book.Use) string { return x.OrderID }, func(v *View, x *book.Use) { v.Coupon = x }),
		orders("payment", func(x book.Payment) string { return x.OrderID }, func(v *View, x *book.Payment) { v.Payment = x }),
		orders("shipping", func(x book.Shipment) string { return x.OrderID }, func(v *View, x *book.Shipment) { v.Shipment = x }),
		orders("mailer", func(x book.Mails) string { return x.OrderID }, func(v *View, x *book.Mails) { v.Mails = x }),
		orders("gateway", func(x book.Line) string { return x.OrderID }, func(v *View, x *book.Line) { v.Line = x }),
	}
}

// Views goes through all orders that any service knows, by id. The pages are of different moments, so what
// a view shows may never have been true at once: what looks wrong has to be looked at again.
func (r Reader) Views(ctx context.Context, visit func(View)) error {
	all := sources()
	for {
		heads, least := make([]string, len(all)), ""
		for i, s := range all {
			var err error
			if heads[i], err = s.head(ctx, r); err != nil {
				return err
			}
			if heads[i] != "" && (least == "" || heads[i] < least) {
				least = heads[i]
			}
		}
		if least == "" {
			return nil
		}
		v := View{OrderID: least}
		for i, s := range all {
			if heads[i] == least {
				s.take(&v)
			}
		}
		visit(v)
	}
}

// Look reads the views of some orders, in the order of their ids.
func (r Reader) Look(ctx context.Context, ids []string) ([]View, error) {
	views := map[string]*View{}
	for _, id := range ids {
		views[id] = &View{OrderID: id}
	}
	ids = sortedKeys(views)
	for _, s := range sources() {
		if err := s.look(ctx, r, ids, views); err != nil {
			return nil, err
		}
	}
	list := make([]View, len(ids))
	for i, id := range ids {
		list[i] = *views[id]
	}
	return list, nil
}

// services that have queues: all of them.
var services = []string{"order", "stock", "coupon", "payment", "shipping", "mailer", "member", "gateway"}

// Queues reads what is on its way in each service.
func (r Reader) Queues(ctx context.Context) (map[string]host.Queues, error) {
	all := map[string]host.Queues{}
	for _, service := range services {
		rows, _, err := page[host.Queues](ctx, r, service, "queues", nil)
		if err != nil {
			return nil, err
		}
		for _, q := range rows {
			all[service] = q
		}
	}
	return all, nil
}
