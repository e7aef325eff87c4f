package embed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// mavenCentral is where packages come from unless QUADRILLE_MAVEN names a
// mirror with the same layout.
const mavenCentral = "https://repo.maven.apache.org/maven2"

// artifact names one jar of a Maven repository and the content it must have.
type artifact struct {
	group, name, version string
	sha256               string
}

// path is the artifact's place in every Maven repository.
func (a artifact) path() string {
	return fmt.Sprintf("%s/%s/%s/%s-%s.jar",
		strings.ReplaceAll(a.group, ".", "/"), a.name, a.version, a.name, a.version)
}

// store keeps fetched artifacts under dir.
type store struct {
	dir string
	// local is a Maven repository of this machine to look in first (~/.m2),
	// so that a machine without a network can be prepared with any Maven
	// client; "" for none.
	local string
	base  string
	// pause comes before the second try and three times that before the third.
	pause time.Duration
	// stall is how long a download may bring nothing before it is given up.
	stall time.Duration
	say   func(string, ...any)
}

func newStore(dir string, say func(string, ...any)) *store {
	s := &store{dir: dir, base: mavenCentral, pause: time.Second, stall: 30 * time.Second, say: say}
	if home, err := os.UserHomeDir(); err == nil {
		s.local = filepath.Join(home, ".m2", "repository")
	}
	if base := os.Getenv("QUADRILLE_MAVEN"); base != "" {
		s.base = base
	}
	return s
}

// fetch returns the path of a file with the artifact's content, downloading it
// when this machine has none. Processes that fetch the same artifact at once
// download it once.
func (s *store) fetch(ctx context.Context, a artifact) (string, error) {
	rel := filepath.FromSlash(a.path())
	kept := filepath.Join(s.dir, "maven", rel)
	places := []string{kept}
	if s.local != "" {
		places = append(places, filepath.Join(s.local, rel))
	}
	for _, p := range places {
		if checkFile(p, a.sha256) == nil {
			return p, nil
		}
	}
	lock, err := lockFile(ctx, kept+".lock", nil)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", a.name, err)
	}
	defer lock.unlock()
	if checkFile(kept, a.sha256) == nil { // another process was faster
		return kept, nil
	}
	if err := s.downloadWithRetry(ctx, a, kept); err != nil {
		return "", fmt.Errorf("fetch %s %s: %w", a.name, a.version, err)
	}
	return kept, nil
}

// errPermanent marks a download that trying again cannot mend.
var errPermanent = errors.New("not to be had")

func (s *store) downloadWithRetry(ctx context.Context, a artifact, to string) error {
	pause := s.pause
	for try := 1; ; try++ {
		err := s.download(ctx, a, to)
		if err == nil || try == 3 || errors.Is(err, errPermanent) || ctx.Err() != nil {
			return err
		}
		s.say("download of %s failed, trying again: %v", a.name, err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause *= 3
		}
	}
}

// errStalled ends a download whose server fell silent.
var errStalled = errors.New("the server sent nothing for too long")

func (s *store) download(ctx context.Context, a artifact, to string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(s.stall, func() { cancel(errStalled) })
	defer watchdog.Stop()
	err := s.transfer(ctx, a, to, func() { watchdog.Reset(s.stall) })
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

func (s *store) transfer(ctx context.Context, a artifact, to string, alive func()) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.base, "/")+"/"+a.path(), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		err := fmt.Errorf("server answered %s", resp.Status)
		if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
			err = fmt.Errorf("%w: %w", errPermanent, err)
		}
		return err
	}
	sum := sha256.New()
	body := io.TeeReader(resp.Body, sum)
	meter := &meter{r: body, total: resp.ContentLength, name: a.name, say: s.say, alive: alive}
	return writeAtomic(to, 0o644, &checkedReader{r: meter, check: func() error {
		if got := hex.EncodeToString(sum.Sum(nil)); got != a.sha256 {
			return fmt.Errorf("content has SHA-256 %s, expected %s", got, a.sha256)
		}
		return nil
	}})
}

// checkedReader turns the end of a stream into an error when check fails, so
// that whoever copies it stops instead of keeping it.
type checkedReader struct {
	r     io.Reader
	check func() error
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if errors.Is(err, io.EOF) {
		if bad := c.check(); bad != nil {
			return n, bad
		}
	}
	return n, err
}

// meter reports a download's progress, at most once in half a second.
type meter struct {
	r           io.Reader
	total, done int64
	name        string
	last        time.Time
	say         func(string, ...any)
	alive       func() // called for everything that arrives
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.done += int64(n)
	m.alive()
	if now := time.Now(); now.Sub(m.last) > 500*time.Millisecond && m.total > 1<<20 {
		m.last = now
		m.say("downloading %s: %d of %d MB", m.name, m.done>>20, m.total>>20)
	}
	return n, err
}

// checkFile says whether path holds exactly the content with that SHA-256.
func checkFile(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return fs.ErrInvalid
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("%s has SHA-256 %s, expected %s", path, got, want)
	}
	return nil
}
