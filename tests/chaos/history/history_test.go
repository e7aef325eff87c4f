package history_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	w, err := history.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	asked := &history.Asked{Items: []history.Item{{Product: "A", Quantity: 2, Price: 500}}, Payment: 1000, PaymentType: "CREDIT"}
	place := w.Invoke(history.Invocation{Op: history.Place, Member: "m1", Key: "k", Attempt: 1, Asked: asked})
	get := w.Invoke(history.Invocation{Op: history.Get, Member: "m1", Target: "o1"})
	w.Complete(history.Completion{N: get.N, Outcome: history.Fail, Status: 404})
	w.Complete(history.Completion{N: place.N, Outcome: history.OK, Status: 202, Order: "o1", Error: `"op":`})
	w.Invoke(history.Invocation{Op: history.Cancel, Member: "m1", Target: "o1"})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	calls, err := history.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []history.Call{
		{
			Invocation: history.Invocation{N: 1, Op: history.Place, Member: "m1", Key: "k", Attempt: 1, Asked: asked},
			End:        history.Completion{N: 1, Outcome: history.OK, Status: 202, Order: "o1", Error: `"op":`},
		},
		{
			Invocation: history.Invocation{N: 2, Op: history.Get, Member: "m1", Target: "o1"},
			End:        history.Completion{N: 2, Outcome: history.Fail, Status: 404},
		},
		{
			Invocation: history.Invocation{N: 3, Op: history.Cancel, Member: "m1", Target: "o1"},
			End:        history.Completion{Outcome: history.Unknown},
		},
	}
	if diff := cmp.Diff(want, calls, cmpopts.IgnoreTypes(time.Time{})); diff != "" {
		t.Error(diff)
	}
	if !calls[0].Accepted() || calls[1].Accepted() || calls[2].Accepted() {
		t.Error("only the first call is an order that was accepted")
	}
	if calls[0].At.IsZero() || calls[0].End.At.Before(calls[0].At) {
		t.Errorf("from %s to %s", calls[0].At, calls[0].End.At)
	}
}

// A client that was killed leaves half a line; what it had begun is unknown.
func TestCutOffLine(t *testing.T) {
	t.Parallel()
	calls, err := history.Read(strings.NewReader(`{"n":1,"op":"get"}` + "\n" + `{"n":1,"out":"o`))
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 1 || calls[0].End.Outcome != history.Unknown {
		t.Errorf("%+v", calls)
	}
}

func TestBrokenLogIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no JSON":             "nonsense\n",
		"end without a begin": `{"n":7,"out":"ok"}` + "\n",
		"ended twice":         `{"n":1,"op":"get"}` + "\n" + `{"n":1,"out":"ok"}` + "\n" + `{"n":1,"out":"ok"}` + "\n",
	} {
		if _, err := history.Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
	if _, err := history.ReadFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

// It is written as it goes: what a client did before it was killed is there.
func TestWrittenAsItGoes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	w, err := history.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			call := w.Invoke(history.Invocation{Op: history.List})
			w.Complete(history.Completion{N: call.N, Outcome: history.OK})
		})
	}
	clients.Wait()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(content), "\n") == 40 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("only this is in the file: %s", content)
		}
		<-tick.C
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
