package bench

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/order"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// Serving is what a process that runs all services is told.
type Serving struct {
	Dir        string            `json:"dir"`
	Databases  map[string]string `json:"databases"`
	Brokers    []string          `json:"brokers"`
	Prefix     string            `json:"prefix"`
	Partitions int32             `json:"partitions"`
	Shop       Shop              `json:"shop"`
	// CallSlots of shipping: nobody waits for a parcel to be booked, and on one machine a rush of bookings would take
	// the processors from the orders that somebody waits for. 0 is the default.
	CallSlots int `json:"call_slots"`
	// Naive has the engine handle one event, one command at a time.
	Naive bool `json:"naive"`
	// Outside is what the services call.
	Outside Outside `json:"outside"`
	// Environment is added to what every service is told.
	Environment map[string]string `json:"environment"`
}

// Place says where the process is to be found.
type Place struct {
	Gateway string `json:"gateway"`
	Control string `json:"control"`
	Pid     int    `json:"pid"`
	// Tokens of the members, in their order.
	Tokens []string `json:"tokens"`
}

// Serve runs every service in this process until ctx ends, and tells out where it is once the shop is open. Beside
// the public API it takes a [Load] at Control/feed: commands that reach order without HTTP.
func Serve(ctx context.Context, cfg Serving, out io.Writer) (err error) {
	p := &process{cfg: cfg, submit: make(chan submit, 1), window: newWindow()}
	tuning := engine.Tuning{}
	if cfg.Naive {
		tuning.BatchMax, tuning.Pace = 1, time.Nanosecond
	}
	env, own := cfg.environment()
	p.system, err = local.Start(ctx, local.Config{
		Dir: cfg.Dir, Databases: cfg.Databases, Brokers: cfg.Brokers, TopicPrefix: cfg.Prefix, Partitions: cfg.Partitions,
		Members: cfg.Shop.members(), Environment: env, ServiceEnvironment: own, Tuning: tuning,
		Feeds: map[string]host.Feed{"order": p.take},
	})
	if err != nil {
		return err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, p.system.Stop(stop))
	}()
	return p.serve(ctx, out)
}

// environment is what every service is told, and what each.
func (cfg Serving) environment() (all map[string]string, each map[string]map[string]string) {
	all, each = cfg.Outside.environment()
	maps.Copy(all, map[string]string{"LOG_LEVEL": "warn", "RATE_PER_MEMBER": "1000000", "RATE_PER_ADDRESS": "1000000"})
	maps.Copy(all, cfg.Environment)
	each["mailer"]["MEMBERS_FILE"] = ""
	each["shipping"]["CALL_SLOTS"] = strconv.Itoa(cfg.CallSlots)
	// No parcel moves here, and that of a past is nothing the carrier has heard of: to ask for either, ten minutes after
	// its order, would be work of one measurement in another.
	each["shipping"]["TRACKING_INTERVAL"], each["shipping"]["TRACKING_INTERVAL_MAX"] = "100000h", "100000h"
	return all, each
}

type submit = func(context.Context, engine.Request) (engine.Answer, error)

// process is a process that serves.
type process struct {
	cfg     Serving
	system  *local.System
	submit  chan submit
	place   submit
	tracker *Tracker
	window  *window
	busy    sync.Mutex
	pools   map[string]*pgx.Conn
}

// take is order's feed: it only hands over the way in.
func (p *process) take(ctx context.Context, do submit) error {
	select {
	case p.submit <- do:
	default:
	}
	<-ctx.Done()
	return nil
}

func (p *process) serve(ctx context.Context, out io.Writer) error {
	ops, err := p.system.Client(local.Operator, web.RoleOperator)
	if err != nil {
		return err
	}
	customer, err := p.system.Client(memberID(0))
	if err != nil {
		return err
	}
	if err := p.cfg.Shop.open(ctx, ops, customer); err != nil {
		return err
	}
	p.place = <-p.submit
	if p.tracker, err = Track(ctx, p.cfg.Brokers, p.cfg.Prefix, func(string) { p.window.leave() }); err != nil {
		return err
	}
	go p.tracker.Run(ctx)
	listener, err := run.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: p.routes(), BaseContext: func(net.Listener) context.Context { return ctx }, ReadHeaderTimeout: time.Minute}
	defer server.Close()
	go func() { _ = server.Serve(listener) }() // until it is closed
	where := Place{Gateway: p.system.GatewayURL(), Control: "http://" + listener.Addr().String(), Pid: os.Getpid()}
	for i := range p.cfg.Shop.Members {
		token, err := p.system.Token(memberID(i))
		if err != nil {
			return err
		}
		where.Tokens = append(where.Tokens, token)
	}
	if err := json.NewEncoder(out).Encode(where); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (p *process) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /feed", p.feed)
	mux.HandleFunc("POST /rest", p.rest)
	mux.HandleFunc("POST /service/{name}/{act}", p.service)
	mux.HandleFunc("POST /memory", p.memory)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// feed runs a load and answers with its outcome.
func (p *process) feed(w http.ResponseWriter, r *http.Request) {
	p.busy.Lock()
	defer p.busy.Unlock()
	var load Load
	err := json.NewDecoder(r.Body).Decode(&load)
	var o Outcome
	if err == nil {
		// Nobody asks for the ends of orders that are only to be accepted: they would be kept until the next load.
		p.tracker.Forget(!load.Accepted)
		// Orders that were placed over REST meanwhile have left this window and never entered it.
		p.window.reset()
		begin := time.Now()
		o, err = load.run(r.Context(), p.tracker, p.window, p.one, func(int, int) {})
		if err == nil && !load.Accepted {
			err = p.settle(r.Context(), begin, &o)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(o) // the client that is gone does not need it
}

// rest answers when everything is at rest.
func (p *process) rest(w http.ResponseWriter, r *http.Request) {
	if err := awaitRest(r.Context(), p.atRest); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// service stops or starts one service.
func (p *process) service(w http.ResponseWriter, r *http.Request) {
	act := p.system.StopService
	if r.PathValue("act") == "start" {
		act = p.system.StartService
	}
	if err := act(r.Context(), r.PathValue("name")); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (p *process) settle(ctx context.Context, begin time.Time, o *Outcome) error {
	if err := awaitRest(ctx, p.atRest); err != nil {
		return err
	}
	o.rest(time.Since(begin))
	return nil
}

// rules are order's defaults, with a deadline beyond what a benchmark waits for.
var rules = order.Rules{
	PendingTimeout: 5 * time.Minute, TransferTimeout: 15 * time.Minute, CouponTimeout: 10 * time.Second,
	MaxItems: 100, PointCurrency: "KRW",
}

// one places an order as the HTTP handler would.
func (p *process) one(ctx context.Context, n, product int, rng *rand.Rand) (string, error) {
	member := rng.IntN(p.cfg.Shop.Members)
	id := uuid.Must(uuid.NewV7()).String()
	hash := []byte(id[:32])
	cmd := order.Place{
		OrderID: id, UserID: memberID(member), BodyHash: hex.EncodeToString(hash),
		Items:        []order.PlaceItem{{ProductID: productID(product), Quantity: 1}},
		CouponRefs:   []string{},
		CouponPolicy: order.CancelOrder, PointAmount: price, PaymentAmount: 0, PaymentType: order.Points, Rules: rules,
	}
	for {
		answer, err := p.place(ctx, engine.Request{Member: cmd.UserID, Key: id, BodyHash: hash, Command: cmd})
		var busy *fault.Refusal
		switch {
		case errors.As(err, &busy) && busy.Status == http.StatusServiceUnavailable:
			// Too many commands are waiting: a feed holds on to its own, as a caller would.
			if err := sleep(ctx, 50*time.Millisecond); err != nil {
				return "", err
			}
		case err != nil:
			return "", err
		case answer.Refusal != nil:
			return "", answer.Refusal
		default:
			return id, nil
		}
	}
}

// atRest says what is still going on: events not published or not read, calls not made.
func (p *process) atRest(ctx context.Context) error {
	ops, err := p.system.Token(local.Operator, web.RoleOperator)
	if err != nil {
		return err
	}
	for _, service := range local.Services() {
		conn, err := p.conn(ctx, service)
		if err != nil {
			return err
		}
		var outbox, calls bool
		if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outbox), EXISTS (SELECT FROM call WHERE state = 0)`).Scan(&outbox, &calls); err != nil {
			return err
		}
		if outbox || calls {
			return fmt.Errorf("%w: %s: outbox %v, calls %v", errBusy, service, outbox, calls)
		}
		var s engine.Subscription
		client := rest.Client{BaseURL: p.system.URL(service), Token: ops}
		if err := client.Get(ctx, "/internal/v1/subscription", &s); err != nil {
			return err
		}
		if s.Lag > 0 {
			return fmt.Errorf("%w: %s is %d events behind", errBusy, service, s.Lag)
		}
	}
	return nil
}

func (p *process) conn(ctx context.Context, service string) (*pgx.Conn, error) {
	if c := p.pools[service]; c != nil {
		return c, nil
	}
	c, err := pgx.Connect(ctx, p.cfg.Databases[service])
	if err != nil {
		return nil, err
	}
	if p.pools == nil {
		p.pools = map[string]*pgx.Conn{}
	}
	p.pools[service] = c
	return c, nil
}
