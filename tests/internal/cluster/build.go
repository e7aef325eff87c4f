package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Program says how the services are built.
type Program struct {
	// Dir takes a program per service, and the simulator.
	Dir string
	// Services to build; nil is all and the simulator.
	Services []string
	// Race adds the race detector, Overlay is a file for `go build -overlay`.
	Race    bool
	Overlay string
}

// Build builds the services' programs from the tree this test belongs to. Programs are kept in the
// user's cache folder and linked again only when something changed; Dir gets hard links, so a program
// that a cluster runs does not change under it when somebody else builds.
func Build(ctx context.Context, p Program) error {
	if len(p.Services) == 0 {
		p.Services = append(Services(), simulatorName)
	}
	root, err := workspace(ctx)
	if err != nil {
		return fmt.Errorf("build the services: %w", err)
	}
	store, err := programStore(root, p)
	if err != nil {
		return fmt.Errorf("build the services: %w", err)
	}
	lock, err := os.OpenFile(store+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("build the services: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("build the services: lock: %w", err)
	}
	if err := build(ctx, root, store, p); err != nil {
		return fmt.Errorf("build the services: %w", err)
	}
	return place(store, p)
}

// workspace is the folder of go.work.
func workspace(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	if err != nil {
		return "", fmt.Errorf("find the workspace: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == "off" {
		return "", errors.New("not inside the workspace")
	}
	return filepath.Dir(file), nil
}

// programStore is one folder per tree and way of building.
func programStore(root string, p Program) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, root, p.Race)
	if p.Overlay != "" {
		content, err := os.ReadFile(p.Overlay)
		if err != nil {
			return "", err
		}
		sum.Write(content)
	}
	dir := filepath.Join(cache, "quadrille", fmt.Sprintf("programs-%x", sum.Sum(nil)[:6]))
	return dir, os.MkdirAll(dir, 0o755)
}

func build(ctx context.Context, root, store string, p Program) error {
	args := []string{"build", "-o", store + string(filepath.Separator), "-ldflags=-s -w"}
	if p.Race {
		args = append(args, "-race")
	}
	if p.Overlay != "" {
		args = append(args, "-overlay", p.Overlay)
	}
	for _, service := range p.Services {
		args = append(args, "./services/"+service+"/cmd/"+service)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w:\n%s", err, out)
	}
	return nil
}

func place(store string, p Program) error {
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return fmt.Errorf("place the programs: %w", err)
	}
	for _, service := range p.Services {
		from, to := filepath.Join(store, service), filepath.Join(p.Dir, service)
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("place the programs: %w", err)
		}
		if os.Link(from, to) == nil {
			continue
		}
		if err := copyProgram(from, to); err != nil { // another file system
			return fmt.Errorf("place the programs: %w", err)
		}
	}
	return nil
}

func copyProgram(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}
