package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
)

// customers place orders through the public API, each over a connection that is kept. The requests are written by
// hand: what a client costs is paid by the same two cores, and is not what is measured.
type customers struct {
	host   string
	tokens []string
	idle   chan *connection
}

type connection struct {
	net.Conn
	read *bufio.Reader
	out  []byte
	used time.Time
}

// stale is how long a connection may lie idle before a new one takes its place: the gateway closes those that nobody
// uses, and a request may be on its way at that moment.
const stale = 2 * time.Second

// newCustomers opens the connections.
func newCustomers(ctx context.Context, p Place, connections int) (*customers, error) {
	gateway, err := url.Parse(p.Gateway)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	c := &customers{host: gateway.Host, tokens: p.Tokens, idle: make(chan *connection, connections)}
	for range connections {
		conn, err := c.dial(ctx)
		if err != nil {
			return nil, err
		}
		c.idle <- conn
	}
	return c, nil
}

func (c *customers) dial(ctx context.Context) (*connection, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", c.host)
	if err != nil {
		return nil, fmt.Errorf("connect to the gateway: %w", err)
	}
	return &connection{Conn: conn, read: bufio.NewReader(conn), used: time.Now()}, nil
}

func (c *customers) close() {
	for range cap(c.idle) {
		_ = (<-c.idle).Close()
	}
}

// place orders one piece, paid by points.
func (c *customers) place(ctx context.Context, _, product int, rng *rand.Rand) (string, error) {
	conn := <-c.idle
	defer func() { conn.used = time.Now(); c.idle <- conn }()
	if time.Since(conn.used) > stale {
		_ = conn.Close()
		fresh, err := c.dial(ctx)
		if err != nil {
			return "", err
		}
		conn = fresh
	}
	id, err := c.order(conn, c.tokens[rng.IntN(len(c.tokens))], product)
	if err != nil {
		// The connection may stand anywhere in an answer.
		_ = conn.Close()
		if fresh, dialErr := c.dial(ctx); dialErr == nil {
			conn = fresh
		}
	}
	return id, err
}

func (c *customers) order(conn *connection, token string, product int) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return "", err
	}
	body := fmt.Sprintf(`{"items":[{"productId":%q,"quantity":1}],"pointAmount":%d,"paymentAmount":0,"paymentType":"POINT"}`, productID(product), price)
	conn.out = fmt.Appendf(conn.out[:0], "POST /api/v1/orders HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Idempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s", c.host, token, uuid.NewString(), len(body), body)
	if _, err := conn.Write(conn.out); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(conn.read, nil)
	if err != nil {
		return "", err
	}
	raw, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("answered %d: %s", res.StatusCode, raw)
	}
	var placed struct {
		OrderID string `json:"orderId"`
	}
	if err := json.Unmarshal(raw, &placed); err != nil {
		return "", err
	}
	return placed.OrderID, nil
}

// REST has customers place orders over REST; the load ends when all is at rest.
func (y *System) REST(ctx context.Context, load Load, connections int, say func(done, total int)) (Outcome, error) {
	w := newWindow()
	t, err := Track(ctx, y.site.Kafka.Addrs(), y.prefix, func(string) { w.leave() })
	if err != nil {
		return Outcome{}, err
	}
	follow, stop := context.WithCancel(ctx)
	defer stop()
	go t.Run(follow)
	c, err := newCustomers(ctx, y.Place, connections)
	if err != nil {
		return Outcome{}, err
	}
	defer c.close()
	begin := time.Now()
	o, err := load.run(ctx, t, w, c.place, say)
	if err != nil {
		return o, err
	}
	if err := y.Rest(ctx); err != nil {
		return o, err
	}
	o.rest(time.Since(begin))
	return o, nil
}
