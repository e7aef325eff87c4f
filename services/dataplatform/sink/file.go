package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/quadrille-io/quadrille/services/dataplatform"
)

// Files writes NDJSON, a fact a line, into folders by the day (UTC) on which the facts happened:
//
//	day=2026-11-21/facts-00000000000000000001-<batch id>.ndjson
//	replay=<replay id>/day=2026-11-21/facts-...
//
// A file is a batch's part of a day, and appears under its name complete and on the disk, or not at all. A batch that
// is written again (the process died before that was noted) has the same facts and the same names, so it replaces what
// is there: no fact stands twice outside replays.
type Files struct{ dir string }

// NewFiles makes the folder.
func NewFiles(dir string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of files: %w", err)
	}
	return &Files{dir: filepath.Clean(dir)}, nil
}

// Deliver writes a batch. After an error some of its files may be there; the batch is written again.
func (f *Files) Deliver(ctx context.Context, b dataplatform.Batch) error {
	root := f.dir
	if b.Replay != "" {
		root = filepath.Join(f.dir, "replay="+b.Replay)
	}
	for _, part := range byDay(b.Facts) {
		if err := ctx.Err(); err != nil {
			return err
		}
		day := filepath.Join(root, "day="+part[0].OccurredAt.UTC().Format(time.DateOnly))
		name := fmt.Sprintf("facts-%020d-%s.ndjson", part[0].Position, b.ID)
		if err := write(f.dir, day, name, part); err != nil {
			return fmt.Errorf("write batch %s: %w", b.ID, err)
		}
	}
	return nil
}

// byDay parts facts by their days, each part in the order of positions.
func byDay(facts []dataplatform.Fact) [][]dataplatform.Fact {
	var parts [][]dataplatform.Fact
	at := map[string]int{}
	for _, f := range facts {
		day := f.OccurredAt.UTC().Format(time.DateOnly)
		i, known := at[day]
		if !known {
			i = len(parts)
			at[day] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], f)
	}
	return parts
}

// write puts a file in its place at once: under another name (with a dot; a process that dies may leave such a one), to
// the disk, renamed, and the folders up to the top one to the disk, or a power cut could take the name back after the
// batch was noted as sent.
func write(top, dir, name string, facts []dataplatform.Fact) error {
	var content bytes.Buffer
	lines := json.NewEncoder(&content)
	for _, fact := range facts {
		line := dataplatform.NewLine(fact)
		line.Schema = dataplatform.Schema
		if err := lines.Encode(line); err != nil {
			return fmt.Errorf("encode fact %s: %w", fact.ID, err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".writing-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(content.Bytes())
	err = errors.Join(err, temp.Chmod(0o644), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		if gone := os.Remove(temp.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return err
	}
	for ; ; dir = filepath.Dir(dir) {
		if err := syncFolder(dir); err != nil || dir == top {
			return err
		}
	}
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
