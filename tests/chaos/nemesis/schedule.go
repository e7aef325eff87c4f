package nemesis

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// Kind of a fault.
type Kind string

// The kinds.
const (
	Kill       Kind = "kill"        // kill -9 of one replica, started again after the hold
	KillAll    Kind = "kill-all"    // kill -9 of every replica of a service
	Pause      Kind = "pause"       // SIGSTOP, then SIGCONT: past session, idle-transaction and transaction time-outs
	PauseRelay Kind = "pause-relay" // SIGSTOP of the replica whose relay is elected
	Terminate  Kind = "terminate"   // SIGTERM, started again after the hold
	Roll       Kind = "roll"        // SIGTERM and start of every replica of a service, one after the other

	KafkaKill  Kind = "kafka-kill"  // kill -9 of the broker and start on the same data
	KafkaStop  Kind = "kafka-stop"  // SIGTERM of the broker and start
	KafkaPause Kind = "kafka-pause" // SIGSTOP of the broker

	PostgresImmediate Kind = "postgres-immediate" // immediate shutdown and start: recovery from the log
	PostgresKill      Kind = "postgres-kill"      // kill -9 of the postmaster and start
	PostgresSession   Kind = "postgres-session"   // kill -9 of one session: the server cuts all and recovers

	Reset        Kind = "reset"         // every connection of a way ends
	Refuse       Kind = "refuse"        // connections end and new ones are refused
	Cut          Kind = "cut"           // nothing passes, nobody is told
	CommitLost   Kind = "commit-lost"   // requests reach PostgreSQL, answers are lost: COMMIT of unknown outcome
	LoseAnswers  Kind = "lose-answers"  // the same to Kafka and to the outside
	LoseRequests Kind = "lose-requests" // what is sent is lost, what was under way comes back
	HalfAnswers  Kind = "half-answers"  // connections end in the middle of an answer
	Slow         Kind = "slow"          // few bytes per second
	Latency      Kind = "latency"       // every packet late

	ProviderDown    Kind = "provider-down"    // 503
	ProviderCut     Kind = "provider-cut"     // connections reset
	ProviderSlow    Kind = "provider-slow"    // answers late
	ProviderTimeout Kind = "provider-timeout" // no answers; every second charge was carried out
	CarrierDown     Kind = "carrier-down"
	CarrierTimeout  Kind = "carrier-timeout"
	MailDown        Kind = "mail-down"
	MailLater       Kind = "mail-later" // 451
)

// spec says how often a kind comes, how long it is held, and how it is done.
type spec struct {
	weight   int
	min, max time.Duration
	act      func(*nemesis, Step) act
	// targets that a way-fault picks from; nil for other kinds.
	targets []cluster.Target
	// services that it may hit; nil is all.
	services []string
	// amount is a figure of the fault's own, between low and high.
	low, high int
}

// publishers are the services with a relay.
var publishers = []string{"order", "stock", "coupon", "payment", "shipping"}

const second = time.Second

// specs of all kinds. The weights keep what stops the whole system rare, so that it works most of the time.
var specs = map[Kind]spec{
	Kill:       {weight: 14, min: second / 2, max: 5 * second, act: (*nemesis).kill},
	KillAll:    {weight: 4, min: second / 2, max: 3 * second, act: (*nemesis).killAll},
	Pause:      {weight: 11, min: 3 * second, max: 20 * second, act: (*nemesis).pause},
	PauseRelay: {weight: 4, min: 3 * second, max: 18 * second, act: (*nemesis).pauseRelay, services: publishers},
	Terminate:  {weight: 6, min: 0, max: 2 * second, act: (*nemesis).terminate},
	Roll:       {weight: 2, min: 0, max: second, act: (*nemesis).roll},

	KafkaKill:  {weight: 3, min: 0, max: 3 * second, act: (*nemesis).kafkaKill},
	KafkaStop:  {weight: 1, min: 0, max: second, act: (*nemesis).kafkaStop},
	KafkaPause: {weight: 3, min: 2 * second, max: 12 * second, act: (*nemesis).kafkaPause},

	PostgresImmediate: {weight: 3, min: 0, max: 3 * second, act: (*nemesis).postgresImmediate},
	PostgresKill:      {weight: 2, min: 0, max: 2 * second, act: (*nemesis).postgresKill},
	PostgresSession:   {weight: 4, min: 0, max: second, act: (*nemesis).postgresSession},

	Reset:        {weight: 10, min: 0, max: second, act: (*nemesis).reset, targets: anyTarget},
	Refuse:       {weight: 5, min: second, max: 8 * second, act: (*nemesis).refuse, targets: anyTarget},
	Cut:          {weight: 8, min: second, max: 12 * second, act: (*nemesis).cut, targets: anyTarget},
	CommitLost:   {weight: 9, min: second / 2, max: 4 * second, act: (*nemesis).loseAnswers, targets: []cluster.Target{cluster.ToPostgres}},
	LoseAnswers:  {weight: 5, min: second, max: 6 * second, act: (*nemesis).loseAnswers, targets: []cluster.Target{cluster.ToKafka, cluster.ToOutside}},
	LoseRequests: {weight: 3, min: second, max: 6 * second, act: (*nemesis).loseRequests, targets: anyTarget},
	HalfAnswers:  {weight: 3, min: second, max: 4 * second, act: (*nemesis).halfAnswers, targets: anyTarget, low: 20, high: 20_000},
	Slow:         {weight: 3, min: 2 * second, max: 8 * second, act: (*nemesis).slow, targets: anyTarget, low: 2_000, high: 50_000},
	Latency:      {weight: 3, min: 3 * second, max: 10 * second, act: (*nemesis).latency, targets: anyTarget, low: 20, high: 800},

	ProviderDown:    outside(3, 2*second, 8*second, "provider", "down"),
	ProviderCut:     outside(2, 2*second, 8*second, "provider", "cut"),
	ProviderSlow:    outside(3, 2*second, 10*second, "provider", "slow"),
	ProviderTimeout: outside(4, 2*second, 10*second, "provider", "timeout"),
	CarrierDown:     outside(2, 2*second, 8*second, "carrier", "down"),
	CarrierTimeout:  outside(2, 2*second, 8*second, "carrier", "timeout"),
	MailDown:        outside(2, 2*second, 10*second, "mail", "down"),
	MailLater:       outside(1, 2*second, 10*second, "mail", "tempfail"),
}

var anyTarget = []cluster.Target{cluster.ToPostgres, cluster.ToKafka, cluster.ToOutside}

// outside fails between 30 and 100 percent of the requests.
func outside(weight int, shortest, longest time.Duration, world, mode string) spec {
	return spec{
		weight: weight, min: shortest, max: longest, low: 30, high: 100,
		act: func(n *nemesis, s Step) act { return n.outside(s, world, mode) },
	}
}

// Kinds lists all of them, sorted.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(specs))
	for kind := range specs {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// Check refuses unknown kinds.
func Check(kinds []Kind) error {
	for _, kind := range kinds {
		if _, ok := specs[kind]; !ok {
			return fmt.Errorf("no such kind of fault: %q; there are %v", kind, Kinds())
		}
	}
	return nil
}

// Step is one planned fault: rest first, then do it and hold it.
type Step struct {
	Ordinal int
	Kind    Kind
	Service string
	Replica int
	Target  cluster.Target
	Amount  int
	Rest    time.Duration
	Hold    time.Duration
}

// Schedule yields a lane's faults, without end. They follow from the seed, the lane, the kinds and the
// number of replicas alone.
func Schedule(plan Plan, lane int, replicas func(service string) int) iter.Seq[Step] {
	kinds := plan.Only
	if len(kinds) == 0 {
		kinds = Kinds()
	}
	rest := plan.Rest
	if rest == 0 {
		rest = 7 * second
	}
	random := rand.New(rand.NewPCG(plan.Seed, uint64(lane)))
	return func(yield func(Step) bool) {
		for i := 0; ; i++ {
			s := next(random, kinds, replicas)
			s.Ordinal = i*lanes + lane
			s.Rest = between(random, rest/3, rest*5/3)
			if !yield(s) {
				return
			}
		}
	}
}

// next draws a kind by weight, then its aim and figures.
func next(random *rand.Rand, kinds []Kind, replicas func(string) int) Step {
	s := Step{Kind: draw(random, kinds)}
	spec := specs[s.Kind]
	services := spec.services
	if services == nil {
		services = cluster.Services()
	}
	if len(spec.targets) > 0 {
		s.Target = spec.targets[random.IntN(len(spec.targets))]
		services = having(services, s.Target)
	}
	s.Service = services[random.IntN(len(services))]
	s.Replica = random.IntN(max(1, replicas(s.Service)))
	s.Hold = between(random, spec.min, spec.max)
	s.Amount = spec.low + random.IntN(spec.high-spec.low+1)
	return s
}

func draw(random *rand.Rand, kinds []Kind) Kind {
	total := 0
	for _, kind := range kinds {
		total += specs[kind].weight
	}
	at := random.IntN(total)
	for _, kind := range kinds {
		if at -= specs[kind].weight; at < 0 {
			return kind
		}
	}
	return kinds[0]
}

// having keeps the services that have the target.
func having(services []string, target cluster.Target) []string {
	var out []string
	for _, service := range services {
		if slices.Contains(cluster.Targets(service), target) {
			out = append(out, service)
		}
	}
	return out
}

func between(random *rand.Rand, shortest, longest time.Duration) time.Duration {
	return (shortest + time.Duration(random.Int64N(int64(longest-shortest)+1))).Round(time.Millisecond)
}
