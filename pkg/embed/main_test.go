package embed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A test that kills a whole process needs one: this binary plays it when
// EMBED_PLAY names a part.
func TestMain(m *testing.M) {
	if part := os.Getenv("EMBED_PLAY"); part != "" {
		if err := play(part, os.Getenv("EMBED_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// play starts a server, prints its address and keeps it until it is killed.
func play(part, dir string) error {
	ctx := context.Background()
	switch part {
	case "postgres":
		p, err := StartPostgres(ctx, PostgresConfig{DataDir: dir, FromTemplate: true})
		if err != nil {
			return err
		}
		fmt.Println(p.AdminURL("postgres"))
	case "broker":
		b, err := StartBroker(ctx, BrokerConfig{DataDir: dir})
		if err != nil {
			return err
		}
		fmt.Println(b.Addrs()[0])
	default:
		return errors.New("unknown part " + part)
	}
	select {}
}

// played starts a process that plays part; kill ends it as kill -9 does.
func played(t *testing.T, part, dir string) (address string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EMBED_PLAY="+part, "EMBED_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the process playing %s printed no address: %v", part, err)
	}
	return strings.TrimSpace(line), kill
}

// folder is a folder that a server's other user can reach: t.TempDir is not,
// under root.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "quadrille-embed-") //nolint:usetesting // t.TempDir is not reachable for the other user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline, ticker := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer ticker.Stop()
	for !check() {
		select {
		case <-deadline:
			t.Fatalf("never %s", what)
		case <-ticker.C:
		}
	}
}
