package sink_test

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/dataplatform"
	"github.com/quadrille-io/quadrille/services/dataplatform/sink"
)

// lines reads every line of every file below a folder, by the file's path.
func lines(t *testing.T, dir string) map[string][]dataplatform.Line {
	t.Helper()
	found := map[string][]dataplatform.Line{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		scan := bufio.NewScanner(file)
		for scan.Scan() {
			var l dataplatform.Line
			if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
				return err
			}
			found[filepath.ToSlash(name)] = append(found[filepath.ToSlash(name)], l)
		}
		return scan.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func facts(day time.Time, positions ...int64) (all []dataplatform.Fact) {
	for _, p := range positions {
		all = append(all, dataplatform.Fact{
			Position: p, ID: string(rune('a' + p)), Type: "quadrille.order.v1.OrderCreated", Subject: "o", Sequence: p, OccurredAt: day,
		})
	}
	return all
}

// A batch is a file for each of its days; written again, it is the same files; a replay's stand apart.
func TestFilesByDay(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "export")
	files, err := sink.NewFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	midnight := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	seoul := time.FixedZone("", 9*3600)
	first := dataplatform.Batch{ID: "b1", Facts: slices.Concat(
		facts(midnight.Add(-1).In(seoul), 1), facts(midnight.In(seoul), 2, 3), facts(midnight.Add(-time.Second), 4))}
	second := dataplatform.Batch{ID: "b2", Facts: facts(midnight, 5)}
	again := dataplatform.Batch{ID: "b3", Replay: "r1", Facts: first.Facts}
	for _, b := range []dataplatform.Batch{first, first, second, again, first} {
		if err := files.Deliver(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"day=2026-11-20/facts-00000000000000000001-b1.ndjson":           "be",
		"day=2026-11-21/facts-00000000000000000002-b1.ndjson":           "cd",
		"day=2026-11-21/facts-00000000000000000005-b2.ndjson":           "f",
		"replay=r1/day=2026-11-20/facts-00000000000000000001-b3.ndjson": "be",
		"replay=r1/day=2026-11-21/facts-00000000000000000002-b3.ndjson": "cd",
	}
	got := map[string]string{}
	for name, list := range lines(t, dir) {
		for _, l := range list {
			got[name] += l.ID
			if l.Schema != dataplatform.Schema {
				t.Errorf("%s: a line without its schema: %+v", name, l)
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("wrote %v\nwant %v", got, want)
	}
}

// What cannot be written is an error, and leaves nothing under a name that a reader would take.
func TestFilesThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files, err := sink.NewFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "day=2026-11-21"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := dataplatform.Batch{ID: "b1", Facts: facts(time.Date(2026, 11, 21, 1, 0, 0, 0, time.UTC), 1)}
	if err := files.Deliver(t.Context(), b); err == nil || sink.About(err) {
		t.Errorf("a file where the folder should be: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "day=2026-11-21")); err != nil {
		t.Fatal(err)
	}
	if err := files.Deliver(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for name := range lines(t, dir) {
		if !strings.HasSuffix(name, "-b1.ndjson") || strings.Contains(name, "/.") {
			t.Errorf("left %s", name)
		}
	}
}
