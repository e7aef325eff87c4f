package up

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// The files in the folder, beside those of the parts themselves.
const (
	devEnv        = "dev.env"
	lockFile      = "lock"
	installation  = "installation"
	postgresPlace = "postgres.place"
)

// home is the folder of `quadrille up`, locked.
type home struct {
	dir  string
	lock *os.File
	id   string
}

// openHome makes the folder, or takes it as it is, for this process alone. The kernel lets the lock go
// however the process ends. With fresh, everything in it is removed first, under the lock.
func openHome(dir string, fresh bool) (_ *home, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("find the data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	h := &home{dir: dir}
	if h.lock, err = lock(h.path(lockFile)); err != nil {
		return nil, err
	}
	if err := h.begin(fresh); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *home) begin(fresh bool) error {
	if fresh {
		if err := h.wipe(); err != nil {
			return fmt.Errorf("wipe the data: %w", err)
		}
	}
	// Whoever waits for dev.env waits for this start, not for the last one.
	if err := h.forget(devEnv); err != nil {
		return err
	}
	return h.identify()
}

// lock takes the lock file, which names its owner for whoever is refused.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the data folder: %w", err)
		}
		owner, readErr := os.ReadFile(path)
		if readErr != nil {
			return nil, fmt.Errorf("lock the data folder: %w", readErr)
		}
		return nil, fmt.Errorf("%s is in use: `quadrille up` runs already (process %s); stop it with Ctrl-C, or set QUADRILLE_DIR to another folder",
			filepath.Dir(path), strings.TrimSpace(string(owner)))
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	return f, nil
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

func (h *home) close() { h.lock.Close() }

// identify gives the installation an id, once. PostgreSQL's folder carries it: under root that folder
// may be elsewhere (see package embed), and outlives a data folder that somebody removed by hand. A
// database without the broker's data it belongs to would be half a system.
func (h *home) identify() error {
	content, err := os.ReadFile(h.path(installation))
	if id := strings.TrimSpace(string(content)); err == nil && id != "" {
		h.id = id
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the installation's id: %w", err)
	}
	h.id = strings.ToLower(rand.Text()[:8])
	return h.write(installation, 0o644, h.id+"\n")
}

func (h *home) postgres() string { return h.path("postgres-" + h.id) }

// keepPostgresPlace notes where PostgreSQL's data really is, for the next wipe.
func (h *home) keepPostgresPlace(dir string) error {
	return h.write(postgresPlace, 0o644, dir+"\n")
}

// wipe removes everything but the lock, and PostgreSQL's data where that is elsewhere. It removes only
// what this program made: a folder that was given by mistake keeps what else is in it.
func (h *home) wipe() error {
	place, err := os.ReadFile(h.path(postgresPlace))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if elsewhere := strings.TrimSpace(string(place)); elsewhere != "" && filepath.Dir(elsewhere) != h.dir {
		if err := removeCluster(elsewhere); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !ours(e.Name()) {
			continue
		}
		if err := os.RemoveAll(h.path(e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func ours(name string) bool {
	return strings.HasPrefix(name, "postgres-") ||
		slices.Contains([]string{devEnv, installation, postgresPlace, "kafka", "simulator", "log", "token.key", "members.json"}, name)
}

// removeCluster removes PostgreSQL's data from where a file says it is, if it looks like that.
func removeCluster(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "pgdata", "PG_VERSION")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(dir)
}

// forget removes a file that may not be there.
func (h *home) forget(name string) error {
	if err := os.Remove(h.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// write puts a file in place at once: who finds it finds all of it.
func (h *home) write(name string, mode fs.FileMode, content string) error {
	temp := h.path("." + name + ".new")
	err := os.WriteFile(temp, []byte(content), mode)
	if err == nil {
		err = os.Rename(temp, h.path(name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
