package deliver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/services/webhook/internal/directory"
	"github.com/quadrille-io/quadrille/services/webhook/internal/store"
	"github.com/quadrille-io/quadrille/services/webhook/outward"
)

const (
	// pace is the least time between two claims: what comes to an end meanwhile is written together.
	pace = 20 * time.Millisecond
	// ahead is how many times as many deliveries are claimed of an endpoint as are under way at once.
	ahead = 4
	// settle bounds what is still written when the process stops.
	settle = 5 * time.Second
)

// Sender sends deliveries. Every replica has one.
type Sender struct {
	// Log is told of what fails here; set before Run. What receivers do is in the table of attempts.
	Log *slog.Logger

	cfg       Config
	directory *directory.Directory
	client    *outward.Client
	metrics   *metrics

	pool *pgxpool.Pool
	wake chan struct{}

	mu      sync.Mutex
	stopped bool
	lanes   map[string]*lane
	results []store.Result
	unsent  []store.Claimed
	flying  sync.WaitGroup
}

// lane is one endpoint's share of a Sender, so that whoever is slow or away is so for himself.
type lane struct {
	// queue is claimed and waits for its turn; held counts that, what is under way, and what is not written yet.
	queue []job
	held  int
	// running are under way at this moment.
	running int
	// failing: the last attempt to end was a failure. What is not known to work is tried one by one.
	failing bool
}

type job struct {
	store.Claimed
	claimedAt time.Time
}

// New makes a Sender; Open and Run start it.
func New(cfg Config, d *directory.Directory, client *outward.Client) *Sender {
	return &Sender{cfg: cfg, directory: d, client: client, wake: make(chan struct{}, 1), lanes: map[string]*lane{}, metrics: &metrics{}}
}

// Open says which database it works on.
func (s *Sender) Open(pool *pgxpool.Pool) { s.pool = pool }

// Run sends until ctx ends. Then it finishes what is under way and gives back what is not.
func (s *Sender) Run(ctx context.Context) error {
	defer s.close(ctx)
	for {
		more, err := s.turn(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "deliveries of webhooks", "error", err)
		}
		wait := s.cfg.Every
		if more {
			wait = pace
		}
		if !s.pause(ctx, wait) {
			return nil
		}
	}
}

// pause waits until there may be something to do, and at least for a pace; false when ctx has ended.
func (s *Sender) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	least := time.NewTimer(pace)
	defer least.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-s.wake:
	}
	select {
	case <-ctx.Done():
		return false
	case <-least.C:
		return true
	}
}

// turn writes what has ended, and claims and starts what is due. more says that there is probably more of it.
func (s *Sender) turn(ctx context.Context) (more bool, err error) {
	s.tidy(ctx)
	if err := s.flush(ctx); err != nil {
		return false, err
	}
	rooms := s.rooms()
	if len(rooms) == 0 {
		return false, nil
	}
	// Taken before the claim is asked for: the database counts it from a later moment, so by this clock it ends too
	// early, never too late.
	at := time.Now()
	claimed, err := store.Claim(ctx, s.pool, rooms, s.cfg.lease())
	if err != nil {
		return false, err
	}
	s.enqueue(ctx, claimed, at)
	return len(claimed) > 0, nil
}

// tidy lets go of what waits in lanes where nothing is under way that would start it: of endpoints that are gone, or
// whose claims have been used up.
func (s *Sender) tidy(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.directory.Endpoints()
	for id, l := range s.lanes {
		s.start(ctx, l)
		if _, there := known[id]; !there && l.held == 0 {
			delete(s.lanes, id)
		}
	}
}

// rooms is how many more deliveries of each endpoint may be claimed.
func (s *Sender) rooms() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	rooms := map[string]int{}
	for id := range s.directory.Endpoints() {
		l := s.lane(id)
		room := ahead*s.cfg.Concurrency - l.held
		if l.failing {
			room = 1 - l.held
		}
		if room > 0 {
			rooms[id] = room
		}
	}
	return rooms
}

// lane is made when it is first needed; s.mu is held.
func (s *Sender) lane(id string) *lane {
	l := s.lanes[id]
	if l == nil {
		l = &lane{}
		s.lanes[id] = l
	}
	return l
}

func (s *Sender) enqueue(ctx context.Context, claimed []store.Claimed, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range claimed {
		l := s.lane(c.EndpointID)
		l.held++
		l.queue = append(l.queue, job{c, at})
	}
	for _, c := range claimed {
		s.start(ctx, s.lane(c.EndpointID))
	}
}

// start starts what a lane has room for; s.mu is held.
//
// A send is forbidden once so much of the claim is gone that the attempt could outlast it: the process may have been
// stopped for a while, or the endpoint slow, and another process has the delivery then.
func (s *Sender) start(ctx context.Context, l *lane) {
	limit := s.cfg.Concurrency
	if l.failing {
		limit = 1
	}
	for len(l.queue) > 0 && (l.running < limit || s.stopped) {
		next := l.queue[0]
		l.queue = l.queue[1:]
		endpoint, there := s.directory.Endpoints()[next.EndpointID]
		if s.stopped || !there || time.Since(next.claimedAt) > s.cfg.lease()-s.cfg.Timeout {
			s.unsent = append(s.unsent, next.Claimed)
			continue
		}
		l.running++
		s.flying.Go(func() { s.finish(ctx, l, s.attempt(ctx, endpoint, next)) })
	}
}

// finish notes the result of an attempt and lets the next one of the lane begin.
func (s *Sender) finish(ctx context.Context, l *lane, r store.Result) {
	s.metrics.count(r)
	s.mu.Lock()
	l.running--
	l.failing = !r.Delivered
	s.results = append(s.results, r)
	s.start(ctx, l)
	s.mu.Unlock()
	s.Wake()
}

// Wake has it look for what is due.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// flush writes results and gives back what was not sent. What cannot be written now is written later; until then it
// keeps its place, so that no more is claimed than is dealt with.
func (s *Sender) flush(ctx context.Context) error {
	results, unsent := s.take()
	var err error
	if len(results) > 0 {
		if err = store.SaveResults(ctx, s.pool, results); err != nil {
			s.put(results, unsent)
			return err
		}
	}
	if err = store.GiveBack(ctx, s.pool, unsent); err != nil {
		s.put(nil, unsent)
		unsent = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range results {
		s.lane(r.EndpointID).held--
	}
	for _, c := range unsent {
		s.lane(c.EndpointID).held--
	}
	return err
}

// take leaves to the next flush a second result of one delivery: it is of another claim, and comes when the first one
// could not be written before its own had ended.
func (s *Sender) take() (results []store.Result, unsent []store.Claimed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[[2]string]bool{}
	var later []store.Result
	for _, r := range s.results {
		key := [2]string{r.EndpointID, r.EventID}
		if seen[key] {
			later = append(later, r)
			continue
		}
		seen[key] = true
		results = append(results, r)
	}
	unsent = s.unsent
	s.results, s.unsent = later, nil
	return results, unsent
}

func (s *Sender) put(results []store.Result, unsent []store.Claimed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results, s.unsent = append(results, s.results...), append(unsent, s.unsent...)
}

// close gives back what waits, finishes what is under way, and writes both.
func (s *Sender) close(ctx context.Context) {
	s.mu.Lock()
	s.stopped = true
	for _, l := range s.lanes {
		s.start(ctx, l)
	}
	s.mu.Unlock()
	s.flying.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settle)
	defer cancel()
	for s.left() {
		if err := s.flush(ctx); err != nil {
			s.Log.WarnContext(ctx, "deliveries of webhooks: what became of the last ones was not written, they are made again", "error", err)
			break
		}
	}
	s.client.Close()
}

func (s *Sender) left() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.results)+len(s.unsent) > 0
}
