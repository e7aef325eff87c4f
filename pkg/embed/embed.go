// Package embed runs the real servers that the other processes of a machine
// need, on a machine that has nothing but this program: PostgreSQL from a
// package, a Kafka-protocol broker inside the process, and, where Java is
// installed, Apache Kafka itself.
//
// It is for trying, developing and testing. Data folders are never deleted
// here; servers listen on 127.0.0.1 only, run in a process group of their own
// (an interrupt from the terminal reaches only the parent, which stops them in
// order) and, on Linux, end with their parent however it ends. Linux and macOS.
package embed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// defaultCacheDir is where packages are kept when the configuration names no
// place: the user's cache folder.
func defaultCacheDir(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache folder (set one, or HOME): %w", err)
	}
	return filepath.Join(dir, "quadrille"), nil
}

// reporter turns a nil progress function into a silent one.
func reporter(progress func(string)) func(format string, args ...any) {
	return func(format string, args ...any) {
		if progress != nil {
			progress(fmt.Sprintf(format, args...))
		}
	}
}

// freePort asks the system for a port nobody listens on. Somebody may take it
// before the server does, so the caller tries again when that happens.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// secret reads the random secret kept in path, or makes one on first use.
func secret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(b))) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret: %w", err)
	}
	s := rand.Text()
	if err := writeAtomic(path, 0o600, strings.NewReader(s+"\n")); err != nil {
		return "", fmt.Errorf("keep secret: %w", err)
	}
	return s, nil
}

// writeAtomic writes r to path so that a reader, or a process killed half-way,
// never leaves or sees half a file: a temporary file in the same folder,
// synced, then renamed over path.
func writeAtomic(path string, mode fs.FileMode, r io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already after the rename
	_, err = io.Copy(f, r)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// openLog opens a server's output file for appending, putting the last run's
// away when it has grown past 16 MiB.
func openLog(path string) (*os.File, error) {
	if st, err := os.Stat(path); err == nil && st.Size() > 16<<20 {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("rotate %s: %w", filepath.Base(path), err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open server log: %w", err)
	}
	return f, nil
}

// tail returns about the last 2,000 bytes of a log, for error messages.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > 2000 {
		if _, err := f.Seek(-2000, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
