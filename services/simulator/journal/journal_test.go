package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, dir string) (*Journal, []string) {
	t.Helper()
	var entries []string
	j, err := Open(dir, func(e []byte) error {
		entries = append(entries, string(e))
		return nil
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, entries
}

func write(t *testing.T, dir string, entries ...string) {
	t.Helper()
	j, _ := open(t, dir)
	for _, e := range entries {
		if err := j.Sync(j.Append([]byte(e))); err != nil {
			t.Fatalf("sync: %v", err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func TestReplayInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "b")
	write(t, dir, "c")
	if _, got := open(t, dir); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Fatalf("replayed %q", got)
	}
}

// Every possible length of the file after the first line is a possible torn
// write of the second: the first must always come back, and what is appended
// after it must be readable.
func TestTornLastLine(t *testing.T) {
	t.Parallel()
	origin := t.TempDir()
	write(t, origin, "first", "second")
	whole, err := os.ReadFile(filepath.Join(origin, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	first := strings.IndexByte(string(whole), '\n') + 1
	for n := first; n < len(whole); n++ {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "journal"), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "third")
		if _, got := open(t, dir); !slices.Equal(got, []string{"first", "third"}) {
			t.Fatalf("cut at %d: replayed %q", n, got)
		}
	}
}

func TestDamageInTheMiddleIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "first", "second", "third")
	path := filepath.Join(dir, "journal")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := strings.Replace(string(content), "second", "sEcond", 1)
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, func([]byte) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "damaged at byte 15") {
		t.Fatalf("got %v, want the damage and where it is", err)
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	if _, err := Open(dir, func([]byte) error { return nil }); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: got %v, want ErrLocked", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestParallelAppendsAllComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if err := j.Sync(j.Append(fmt.Appendf(nil, "entry-%03d", i))); err != nil {
				t.Errorf("sync: %v", err)
			}
		})
	}
	wg.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, got := open(t, dir)
	slices.Sort(got)
	if len(got) != 200 || got[0] != "entry-000" || got[199] != "entry-199" || len(slices.Compact(got)) != 200 {
		t.Fatalf("replayed %d entries", len(got))
	}
}

func TestUseAfterClose(t *testing.T) {
	t.Parallel()
	j, _ := open(t, t.TempDir())
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatalf("close twice: %v", err)
	}
	if err := j.Sync(j.Append([]byte("late"))); !errors.Is(err, ErrClosed) {
		t.Fatalf("got %v, want ErrClosed", err)
	}
}

func TestEntryMustBeOneLine(t *testing.T) {
	t.Parallel()
	j, _ := open(t, t.TempDir())
	if err := j.Sync(j.Append([]byte("two\nlines"))); err == nil {
		t.Fatal("accepted an entry of two lines")
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "b", "c")
	j, _ := open(t, dir)
	if err := j.Replace([][]byte{[]byte("c")}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Sync(j.Append([]byte("d"))), j.Close()); err != nil {
		t.Fatal(err)
	}
	if _, got := open(t, dir); !slices.Equal(got, []string{"c", "d"}) {
		t.Fatalf("replayed %q", got)
	}
}
