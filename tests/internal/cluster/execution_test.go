package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// playParent in the environment makes this test program a parent: it runs a child and waits.
const playParent = "QUADRILLE_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(playParent) != "" {
		parent()
	}
	os.Exit(m.Run())
}

// parent runs sleep, prints its pid and waits to be killed.
func parent() {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		panic(err)
	}
	script := filepath.Join(os.Getenv(playParent), "child")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec "+sleep+" 600\n"), 0o700); err != nil {
		panic(err)
	}
	child, err := execute(script, os.TempDir(), nil, os.Stderr)
	if err != nil {
		panic(err)
	}
	fmt.Println(child.pid())
	<-child.done
	os.Exit(1)
}

// However the parent ends, its processes end with it.
func TestProcessesEndWithTheirParent(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), playParent+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(child, 0); err != nil {
		t.Fatalf("the child does not run: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	deadline := time.After(10 * time.Second)
	for alive(child) {
		select {
		case <-deadline:
			t.Fatal("the child outlived its parent")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// alive: a zombie, which nobody has waited for yet, is dead.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// A port belongs to one cluster of the machine at a time.
func TestPortsAreTakenOnce(t *testing.T) {
	t.Parallel()
	first, second := newPorts(), newPorts()
	t.Cleanup(func() { first.release(); second.release() })
	seen := map[int]bool{}
	for range 200 {
		for _, p := range []*ports{first, second} {
			port, err := p.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if seen[port] || port < firstPort || port >= lastPort {
				t.Errorf("port %d", port)
			}
			seen[port] = true
		}
	}
}
