package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
)

const (
	pace    = 20 * time.Millisecond
	relaxed = 250 * time.Millisecond
)

// long is so long ago that nothing is waited for.
const long = time.Hour

// hurried, lazy and foreign are arrivals of partition 0, in the order of their offsets.
func hurried(offset int64, subject string) engine.Arrived {
	return engine.Arrived{Offset: offset, Subject: subject}
}

func lazy(offset int64, subject string) engine.Arrived {
	return engine.Arrived{Offset: offset, Subject: subject, Relaxed: true}
}

func foreign(offset int64) engine.Arrived { return engine.Arrived{Offset: offset, Skip: true} }

// on puts arrivals into a partition of a topic.
func on(topic byte, partition int32, all ...engine.Arrived) []engine.Arrived {
	for i := range all {
		all[i].Topic, all[i].Partition = topic, partition
	}
	return all
}

// pass lets time pass that is not real: it is that of a synctest bubble, and goes on when everybody in there waits.
func pass(d time.Duration) { <-time.After(d) }

// many are n arrivals of one kind.
func many(n int, of func(offset int64, subject string) engine.Arrived) []engine.Arrived {
	all := make([]engine.Arrived, n)
	for i := range all {
		all[i] = of(int64(i), fmt.Sprint("many-", i))
	}
	return all
}

func skipped(offset int64, _ string) engine.Arrived { return foreign(offset) }

// How long what is pending waits for company.
func TestPatience(t *testing.T) {
	t.Parallel()
	const limit, ms = 2000, time.Millisecond
	for _, c := range []struct {
		name    string
		pending []engine.Arrived
		waited  time.Duration // since they came
		started time.Duration // since the last batch, before that
		limit   int
		want    time.Duration
	}{
		{"nothing", nil, 0, long, limit, time.Hour},
		{"a lone hurried one", many(1, hurried), 0, long, limit, 0},
		{"a hurried one soon after a batch", many(1, hurried), 2 * ms, 3 * ms, limit, 15 * ms},
		{"a full batch of hurried ones", many(limit, hurried), 0, 0, limit, 0},
		{"a lone relaxed one", many(1, lazy), 0, long, limit, relaxed},
		{"a relaxed one that has waited", many(1, lazy), 50 * ms, 10 * ms, limit, 200 * ms},
		{"a relaxed one that has waited long enough", many(1, lazy), relaxed, long, limit, 0},
		{"many relaxed ones", many(251, lazy), 50 * ms, long, limit, 950 * ms},
		{"very many relaxed ones", many(4*limit, lazy), 0, long, limit, 0},
		{"a hurried one among relaxed ones", append(many(10, lazy), hurried(10, "x")), 2 * ms, 3 * ms, limit, 15 * ms},
		{"nothing of ours", many(3, skipped), 100 * ms, 200 * ms, limit, 700 * ms},
		{"a queue full of what is not ours", many(8*limit, skipped), 0, 0, limit, 0},
		{"half a batch after a failure", many(10, lazy), 0, 0, 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := engine.NewQueue(engine.Tuning{Pace: pace, Relaxed: relaxed, BatchMax: limit})
				q.Started(c.started, c.started, c.started)
				q.Add(c.pending...)
				pass(c.waited)
				if got := max(0, q.Patience(c.limit)); got != c.want {
					t.Errorf("patience is %v: want %v", got, c.want)
				}
			})
		})
	}
}

// What a batch consists of, while relaxed events wait for company.
func TestAHurriedEventTakesItsCompanyAlong(t *testing.T) {
	t.Parallel()
	before := on(1, 0, lazy(0, "a"), foreign(1), hurried(2, "b"), lazy(3, "c"), foreign(4))
	same := on(2, 0, lazy(0, "d"), lazy(1, "b"), lazy(2, "e"))
	other := on(1, 1, lazy(0, "f"), foreign(1))
	synctest.Test(t, func(t *testing.T) {
		q := engine.NewQueue(engine.Tuning{Pace: pace, Relaxed: relaxed})
		q.Started(long, long, 0)
		q.Add(slices.Concat(before, same, other)...)
		want := slices.Concat(before[:3], same[:2])
		if diff := cmp.Diff(want, q.Cut(2000)); diff != "" {
			t.Errorf("the batch (+) is not what comes before the hurried one or is about its subject (-):\n%s", diff)
		}
		q.Done()
		rest := slices.Concat(before[3:], same[2:], other)
		if wait := q.Patience(2000); wait != relaxed {
			t.Errorf("the rest waits %v: want %v", wait, relaxed)
		}
		pass(relaxed)
		q.Add(on(3, 3, hurried(0, "g"))...)
		want = append(rest, on(3, 3, hurried(0, "g"))...)
		if diff := cmp.Diff(want, q.Cut(2000)); diff != "" {
			t.Errorf("the second batch (+) is not all that has waited (-):\n%s", diff)
		}
	})
}

// What is not ours is taken once a second, though a hurried event of another partition is always there first.
func TestWhatIsNotOursIsTakenOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := engine.NewQueue(engine.Tuning{Pace: pace, Relaxed: relaxed})
		q.Started(0, 0, 0)
		q.Add(on(1, 1, foreign(0))...)
		var taken time.Duration
		for i := range int64(100) {
			pass(pace)
			q.Add(on(1, 0, hurried(i, "x"))...)
			if slices.ContainsFunc(q.Cut(2000), func(a engine.Arrived) bool { return a.Skip }) {
				taken = time.Duration(i+1) * pace
				break
			}
			q.Done()
		}
		if taken != time.Second {
			t.Errorf("taken after %v: want a second", taken)
		}
	})
}

// More than a batch is cut by partitions, and the next batch goes on where this one ends: each gets its turn, also
// beside one that always has more than a batch.
func TestBatchesGoRoundThePartitions(t *testing.T) {
	t.Parallel()
	q := engine.NewQueue(engine.Tuning{Pace: pace, Relaxed: relaxed, BatchMax: 10})
	next := map[int32]int64{}
	add := func(partition int32, n int) {
		for range n {
			q.Add(on(byte(1+next[partition]%2), partition, hurried(next[partition], "x"))...)
			next[partition]++
		}
	}
	for p := range int32(4) {
		add(p, 3)
	}
	add(1, 40)
	q.Started(long, long, 0)
	seen := map[int32]int64{}
	for round := range 12 {
		add(1, 10)
		batch := q.Cut(10)
		q.Done()
		if len(batch) != 10 {
			t.Fatalf("batch %d has %d", round, len(batch))
		}
		for _, a := range batch {
			seen[a.Partition]++
		}
	}
	for p := range int32(4) {
		if seen[p] < 3 {
			t.Errorf("of partition %d %d were handled in twelve batches: want 3", p, seen[p])
		}
	}
}

// A batch that failed is cut again from the same place, so that halves of it are tried, whatever came meanwhile.
func TestHalvesAreOfTheBatchThatFailed(t *testing.T) {
	t.Parallel()
	q := engine.NewQueue(engine.Tuning{Pace: pace, Relaxed: relaxed, BatchMax: 16})
	for p := range int32(8) {
		q.Add(on(1, p, many(10, hurried)...)...)
	}
	q.Started(long, long, long)
	whole := q.Cut(16)
	for limit := 8; limit > 0; limit /= 2 {
		q.Add(on(2, 7, many(16, hurried)...)...)
		if diff := cmp.Diff(whole[:limit], q.Cut(limit)); diff != "" {
			t.Fatalf("%d of the failed batch are not its first (-) but (+):\n%s", limit, diff)
		}
	}
}

// What was owed and is gone, with its partition, is not owed any more.
func TestNothingIsOwedOfWhatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := engine.NewQueue(engine.Tuning{Pace: pace, Relaxed: relaxed, BatchMax: 10})
		q.Add(on(1, 0, many(10, lazy)...)...)
		q.Add(on(1, 1, many(40, lazy)...)...)
		q.Started(long, long, long)
		q.Cut(10)
		q.Done()
		q.Drop(1, 1)
		q.Started(0, 0, 0)
		q.Add(on(2, 0, lazy(0, "x"))...)
		if wait := q.Patience(10); wait != relaxed {
			t.Errorf("waits %v: want %v", wait, relaxed)
		}
	})
}

// plan is what arrives, when, and what goes wrong.
type plan struct {
	tuning  engine.Tuning
	arrived []engine.Arrived
	after   []time.Duration // before each, since the one before
	takes   time.Duration   // of a commit
	poison  map[int]bool
	down    int // commits that fail first, with what passes
}

func drawPlan(t *rapid.T) plan {
	p := plan{poison: map[int]bool{}}
	p.tuning = engine.Tuning{Pace: pace, Relaxed: relaxed, BatchMax: rapid.SampledFrom([]int{1, 2, 7, 50}).Draw(t, "batch")}
	p.takes = rapid.SampledFrom([]time.Duration{0, time.Millisecond, 30 * time.Millisecond}).Draw(t, "takes")
	p.down = rapid.IntRange(0, 3).Draw(t, "down")
	next := map[[2]int]int64{}
	for i := range rapid.IntRange(1, 120).Draw(t, "arrivals") {
		topic, partition := rapid.IntRange(0, 2).Draw(t, "topic"), rapid.IntRange(0, 3).Draw(t, "partition")
		place := [2]int{topic, partition}
		a := engine.Arrived{Topic: byte(topic), Partition: int32(partition), Offset: next[place]}
		next[place]++
		a.Subject = fmt.Sprint(partition, "-", rapid.IntRange(0, 3).Draw(t, "subject"))
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			a.Skip = true
		case 1, 2, 3:
			a.Relaxed = true
		}
		if !a.Skip && rapid.IntRange(0, 30).Draw(t, "poison") == 0 {
			p.poison[i] = true
		}
		p.arrived = append(p.arrived, a)
		p.after = append(p.after, rapid.SampledFrom([]time.Duration{0, 0, 0, time.Millisecond, 40 * time.Millisecond}).Draw(t, "after"))
	}
	return p
}

// played is what happened to the arrivals of a plan.
type played struct {
	done   map[engine.Arrived]int
	order  []engine.Arrived
	waited map[engine.Arrived]time.Duration
	parked map[engine.Arrived]int
	wrong  []string
}

// play lets a plan happen, with time that passes only while everybody waits.
func (p plan) play(t *testing.T) played {
	out := played{done: map[engine.Arrived]int{}, waited: map[engine.Arrived]time.Duration{}, parked: map[engine.Arrived]int{}}
	synctest.Test(t, func(*testing.T) {
		q := engine.NewQueue(p.tuning)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		came := map[engine.Arrived]time.Time{}
		bad := map[engine.Arrived]bool{}
		for i := range p.poison {
			bad[p.arrived[i]] = true
		}
		ready := make(chan struct{})
		go func() {
			defer close(ready)
			for i, a := range p.arrived {
				pass(p.after[i])
				q.Add(a)
			}
		}()
		begun, at := time.Now(), time.Duration(0)
		for i, a := range p.arrived {
			at += p.after[i]
			came[a] = begun.Add(at)
		}
		_ = q.Work(ctx, func(batch []engine.Arrived, parkWith error) error {
			pass(p.takes)
			if p.down > 0 {
				p.down--
				return errors.New("the database is away")
			}
			if parkWith != nil && (len(batch) != 1 || !bad[batch[0]]) {
				out.wrong = append(out.wrong, fmt.Sprintf("parked %v with %v", batch, parkWith))
			}
			if parkWith == nil && slices.ContainsFunc(batch, func(a engine.Arrived) bool { return bad[a] }) {
				return &fault.PanicError{Value: "poison"}
			}
			for _, a := range batch {
				out.done[a]++
				out.order = append(out.order, a)
				out.waited[a] = time.Since(came[a])
				if parkWith != nil {
					out.parked[a]++
				}
			}
			if len(out.order) >= len(p.arrived) {
				cancel()
			}
			return nil
		})
		<-ready
	})
	return out
}

// Whatever arrives, whenever, and whatever fails: every arrival is handled exactly once, in the order of its
// partition of a topic, poison is parked and nothing else is, and nothing waits for as long as others keep coming.
func TestEveryArrivalIsHandledOnceInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		out := p.play(t)
		if len(out.wrong) > 0 {
			rt.Fatal(out.wrong)
		}
		last := map[[2]int]int64{}
		for _, a := range out.order {
			place := [2]int{int(a.Topic), int(a.Partition)}
			if a.Offset != last[place] {
				rt.Fatalf("%+v was handled as number %d of its partition", a, last[place])
			}
			last[place]++
		}
		for i, a := range p.arrived {
			want := 0
			if p.poison[i] {
				want = 1
			}
			if out.done[a] != 1 || out.parked[a] != want {
				rt.Errorf("%+v was handled %d times and parked %d times: want 1 and %d", a, out.done[a], out.parked[a], want)
			}
		}
	})
}

// Hurried events that never stop do not keep the others waiting for longer than relaxed events wait for company at most.
func TestHurriedEventsThatNeverStopStarveNobody(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{20, 2000} {
		t.Run(fmt.Sprint("batches of ", batch), func(t *testing.T) {
			t.Parallel()
			// A commit takes so long that hurried events have come when it is done: there is no moment without one.
			p := plan{tuning: engine.Tuning{Pace: pace, Relaxed: relaxed, BatchMax: batch}, takes: 5 * time.Millisecond}
			for i := range 4000 {
				a := engine.Arrived{Topic: 1, Partition: int32(i % 3), Offset: int64(i / 3), Subject: fmt.Sprint(i)}
				switch i % 50 {
				case 7:
					a = engine.Arrived{Topic: 2, Partition: 7, Offset: int64(i / 50), Subject: fmt.Sprint("lazy-", i), Relaxed: true}
				case 8:
					a = engine.Arrived{Topic: 3, Partition: 8, Offset: int64(i / 50), Skip: true}
				}
				p.arrived, p.after = append(p.arrived, a), append(p.after, 2*time.Millisecond)
			}
			out := p.play(t)
			for a, waited := range out.waited {
				most := 3 * pace
				if a.Relaxed || a.Skip {
					most = 4*relaxed + 3*pace // as long as many of them wait
				}
				if waited > most {
					t.Fatalf("%+v waited %v: want at most %v", a, waited, most)
				}
			}
			if len(out.done) != len(p.arrived) {
				t.Errorf("%d of %d were handled", len(out.done), len(p.arrived))
			}
		})
	}
}
