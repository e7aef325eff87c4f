package service_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/dataplatform"
	"github.com/quadrille-io/quadrille/services/dataplatform/service"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

// written counts each fact in the files of a folder, those of replays apart.
func written(dir string) (live, replayed map[string]int, err error) {
	live, replayed = map[string]int{}, map[string]int{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && (d.IsDir() || strings.HasPrefix(d.Name(), ".")) {
			return nil // being written
		}
		if err != nil {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		to := live
		if strings.Contains(path, "replay=") {
			to = replayed
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var l dataplatform.Line
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				return fmt.Errorf("%s: half a line: %w", path, err)
			}
			to[l.ID]++
		}
		return lines.Err()
	})
	return live, replayed, err
}

// Without an address the facts are in files, each once, also over a restart between the writing and its note.
func TestFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "export")
	files := map[string]string{"DATAPLATFORM_URL": "", "DATAPLATFORM_SECRET": "", "DATAPLATFORM_DIR": dir}
	stop := w.serve(files)
	all := w.publish(20)
	once := func() {
		t.Helper()
		testkit.Eventually(t, rig.Patience, func() error {
			live, _, err := written(dir)
			if err == nil && len(live) < len(all) {
				err = fmt.Errorf("%d of %d facts are written", len(live), len(all))
			}
			return err
		})
		w.exported()
		live, _, err := written(dir)
		if err != nil || len(live) != len(all) {
			t.Fatalf("%d facts are written, %v: want %d", len(live), err, len(all))
		}
		for _, e := range all {
			if live[e.id] != 1 {
				t.Errorf("%s stands there %d times", e.id, live[e.id])
			}
		}
	}
	once()
	stop()
	// As if the process had died after the last file was in its place, and before that was noted.
	if _, err := w.Pool.Exec(t.Context(), `
		WITH b AS (UPDATE batch SET sent_at = NULL WHERE sent_at = (SELECT max(sent_at) FROM batch) RETURNING first)
		UPDATE stream SET position = b.first - 1 FROM b WHERE up_to IS NULL`); err != nil {
		t.Fatal(err)
	}
	all = append(all, w.publish(5)...)
	w.serve(files)
	once()
}

// What contradicts itself is named at start, and the secret is not shown.
func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"DATABASE_URL": "postgres://x", "KAFKA_BROKERS": "x", "DATAPLATFORM_URL": "https://data.example/in",
		"DATAPLATFORM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"JWT_ISSUERS":         "x", "JWT_AUDIENCES": "x", "JWT_JWKS": `{"keys":[]}`,
	}
	for name, c := range map[string]struct {
		set  map[string]string
		says string
	}{
		"as it should be":      {nil, ""},
		"files":                {map[string]string{"DATAPLATFORM_URL": "", "DATAPLATFORM_SECRET": "", "DATAPLATFORM_DIR": "x"}, ""},
		"nowhere to send":      {map[string]string{"DATAPLATFORM_URL": ""}, "DATAPLATFORM_DIR"},
		"no secret":            {map[string]string{"DATAPLATFORM_SECRET": ""}, "DATAPLATFORM_SECRET"},
		"in clear":             {map[string]string{"DATAPLATFORM_URL": "http://data.example/in"}, "DATAPLATFORM_URL"},
		"in clear, as wished":  {map[string]string{"DATAPLATFORM_URL": "http://data.example/in", "DATAPLATFORM_INSECURE": "true"}, ""},
		"no facts":             {map[string]string{"DATAPLATFORM_BATCH_FACTS": "0"}, "BATCH_FACTS"},
		"retries backwards":    {map[string]string{"DATAPLATFORM_RETRY_MIN": "2s", "DATAPLATFORM_RETRY_MAX": "1s"}, "RETRY_MAX"},
		"kept for a day":       {map[string]string{"DATAPLATFORM_KEEP": "24h"}, "DATAPLATFORM_KEEP"},
		"patience without end": {map[string]string{"DATAPLATFORM_TIMEOUT": "1h"}, "DATAPLATFORM_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{}
			for _, m := range []map[string]string{good, c.set} {
				for k, v := range m {
					env[k] = v
				}
			}
			var cfg service.Config
			err := run.LoadFrom(env, &cfg)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if shown := fmt.Sprintf("%+v", cfg); strings.Contains(shown, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") {
				t.Error("the secret is shown")
			}
		})
	}
}
