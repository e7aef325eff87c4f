package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/check"
	"github.com/quadrille-io/quadrille/tests/chaos/nemesis"
)

func TestFlagsAreChecked(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-for", "0s"}, {"-rate", "0"}, {"-replicas", "0"}, {"-members", "1"}, {"-seed", "x"}, {"-nothing"}} {
		if err := command(args); err == nil {
			t.Errorf("%v: taken", args)
		}
	}
}

// -judge says of a recorded run that it passes, and of the same run tampered with that it does not.
func TestJudgeAgain(t *testing.T) {
	t.Parallel()
	recorded := filepath.Join("..", "..", "check", "testdata", "run.gob.gz")
	if err := command([]string{"-judge", recorded}); err != nil {
		t.Error(err)
	}
	e, err := check.Load(recorded)
	if err != nil {
		t.Fatal(err)
	}
	e.Products[0].Quantity--
	tampered := filepath.Join(t.TempDir(), "run")
	if err := check.Save(tampered, e); err != nil {
		t.Fatal(err)
	}
	if err := command([]string{"-judge", tampered}); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("%v", err)
	}
	if err := command([]string{"-judge", filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("judged a file that is not there")
	}
}

func TestLastFault(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	s := &stage{}
	s.run.Begin = begin
	if got := s.lastFault(); !got.Equal(begin) {
		t.Errorf("without faults %s", got)
	}
	s.run.Faults = []nemesis.Fault{{End: begin.Add(2 * time.Second)}, {End: begin.Add(time.Second)}}
	if got := s.lastFault(); !got.Equal(begin.Add(2 * time.Second)) {
		t.Errorf("%s after the beginning", got.Sub(begin))
	}
}

func TestTopicsAreKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "topics.jsonl")
	if err := dump(path, []check.Event{{ID: "a"}, {ID: "b"}}); err != nil {
		t.Error(err)
	}
	if err := dump(filepath.Join(path, "none"), nil); err == nil {
		t.Error("kept where nothing can be")
	}
}
