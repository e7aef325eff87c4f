// Package up_test holds `quadrille up` and the command line against what they promise, with the binary
// as users run it: processes, signals, files.
package up_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// binary is built once for all tests of this process.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "quadrille-bin-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "quadrille")
	build := exec.Command("go", "build", "-o", path, "github.com/quadrille-io/quadrille/services/quadrille/cmd/quadrille")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// startTime is how long a start may take, with a first download of PostgreSQL in it.
const startTime = 3 * time.Minute

// folder makes a data folder that PostgreSQL's user reaches, too, when the tests run as root.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "data")
}

// instance is one running `quadrille up`.
type instance struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	screen *buffer
	ended  chan struct{}
	// env is what dev.env says.
	env map[string]string
}

// up starts the program and waits for dev.env.
func up(t *testing.T, dir string, args ...string) *instance {
	t.Helper()
	i := begin(t, dir, args...)
	path := filepath.Join(dir, "dev.env")
	testkit.Eventually(t, startTime, func() error {
		select {
		case <-i.ended:
			t.Fatalf("it ended:\n%s", i.screen.String())
		default:
		}
		// A kill leaves the file of the last start; the screen tells whose this is.
		if !strings.Contains(i.screen.String(), "quadrille is ready") {
			return fmt.Errorf("not ready:\n%s", i.screen.String())
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, i.screen.String())
		}
		i.env = map[string]string{}
		for _, line := range strings.Split(strings.TrimSpace(string(content)), "\n") {
			found := regexp.MustCompile(`^export ([A-Z0-9_]+)='([^']*)'$`).FindStringSubmatch(line)
			if found == nil {
				return fmt.Errorf("dev.env has the line %q", line)
			}
			i.env[found[1]] = found[2]
		}
		return nil
	})
	return i
}

// begin starts the program; the test's end stops it if it still runs.
func begin(t *testing.T, dir string, args ...string) *instance {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{t: t, dir: dir, screen: &buffer{}, ended: make(chan struct{})}
	i.cmd = exec.Command(path, append([]string{"up"}, args...)...)
	i.cmd.Env = environment(dir)
	i.cmd.Stdout, i.cmd.Stderr = i.screen, i.screen
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = i.cmd.Wait() // ProcessState says how it ended
		close(i.ended)
	}()
	t.Cleanup(func() { i.signal(syscall.SIGTERM) })
	return i
}

// signal sends a signal and waits for the end; it returns the exit code, -1 after a kill.
func (i *instance) signal(s syscall.Signal) int {
	i.t.Helper()
	if err := i.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		i.t.Error(err)
	}
	select {
	case <-i.ended:
	case <-time.After(30 * time.Second):
		i.t.Fatalf("still running 30 s after %s:\n%s", s, i.screen.String())
	}
	return i.cmd.ProcessState.ExitCode()
}

// client speaks to the gateway with the token that a variable of dev.env holds.
func (i *instance) client(token string) rest.Client {
	return rest.Client{BaseURL: i.env["GATEWAY_URL"], Token: i.env[token]}
}

// run runs another command of the binary, which finds the system by its folder alone.
func run(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = environment(dir)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errors.String(), cmd.ProcessState.ExitCode()
}

// environment is ours without what a person's shell, or the rest of the suite, may say of another system.
func environment(dir string) []string {
	env := []string{"QUADRILLE_DIR=" + dir}
	for _, variable := range os.Environ() {
		switch name, _, _ := strings.Cut(variable, "="); {
		case name == "QUADRILLE_DIR", name == "KAFKA_BROKERS", name == "TOPIC_PREFIX", name == "CARRIER_DELAY",
			strings.HasSuffix(name, "_TOKEN"), strings.HasSuffix(name, "_URL"):
		default:
			env = append(env, variable)
		}
	}
	return env
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// buffer is a screen.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var _ io.Writer = (*buffer)(nil)

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
