package embed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const jarContent = "the content of a jar"

func sample() artifact {
	sum := sha256.Sum256([]byte(jarContent))
	return artifact{group: "org.example.deep", name: "lib", version: "1.2", sha256: hex.EncodeToString(sum[:])}
}

// repository serves handler as a Maven repository; the store knows no other.
func repository(t *testing.T, handler http.HandlerFunc) (*store, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler(w, r)
	}))
	t.Cleanup(srv.Close)
	return &store{
		dir: t.TempDir(), base: srv.URL + "/", pause: time.Millisecond, stall: 10 * time.Second,
		say: func(f string, a ...any) { t.Logf(f, a...) },
	}, &requests
}

func TestFetchDownloadsOnce(t *testing.T) {
	t.Parallel()
	s, requests := repository(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/org/example/deep/lib/1.2/lib-1.2.jar" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		_, _ = w.Write([]byte(jarContent))
	})
	g, ctx := errgroup.WithContext(t.Context())
	for range 8 {
		g.Go(func() error { _, err := s.fetch(ctx, sample()); return err })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d downloads", n)
	}
	path, err := s.fetch(t.Context(), sample())
	if b, _ := os.ReadFile(path); err != nil || string(b) != jarContent {
		t.Errorf("fetched %q, %v", b, err)
	}
}

func TestFetchKeepsNothingWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler  http.HandlerFunc
		requests int64
		want     string
	}{
		"other content": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("evil")) }, 3, "SHA-256"},
		"half of it": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "20")
			_, _ = w.Write([]byte(jarContent[:7]))
		}, 3, "EOF"},
		"not there": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, 1, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, requests := repository(t, c.handler)
			_, err := s.fetch(t.Context(), sample())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
			if n := requests.Load(); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			left, err := filepath.Glob(filepath.Join(s.dir, "maven/org/example/deep/lib/1.2/*"))
			for _, f := range left {
				if !strings.HasSuffix(f, ".lock") {
					t.Errorf("left behind: %s", f)
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFetchTriesAgain(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s, _ := repository(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte(jarContent))
	})
	if _, err := s.fetch(t.Context(), sample()); err != nil {
		t.Error(err)
	}
}

func TestFetchGivesUpOnASilentServer(t *testing.T) {
	t.Parallel()
	s, _ := repository(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("the"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	s.stall = 30 * time.Millisecond
	_, err := s.fetch(t.Context(), sample())
	if err == nil || !strings.Contains(err.Error(), errStalled.Error()) {
		t.Errorf("error %v", err)
	}
}

func TestFetchTakesWhatThisMachineHas(t *testing.T) {
	t.Parallel()
	s, requests := repository(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	s.local = t.TempDir()
	path := filepath.Join(s.local, filepath.FromSlash(sample().path()))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(jarContent), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := s.fetch(context.Background(), sample())
	if err != nil || got != path || requests.Load() != 0 {
		t.Errorf("fetched %s, %v, %d requests", got, err, requests.Load())
	}
}
