package embed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// identity is who PostgreSQL runs as. It refuses to run as root, so root
// starts it as somebody else; anybody else starts it as themselves.
type identity struct {
	cred *syscall.Credential // nil: as ourselves
}

// serverIdentity picks the identity for the data in pgdata. Data that is there
// already decides, so that a user added to the system later changes nothing.
func serverIdentity(pgdata string) (identity, error) {
	if os.Geteuid() != 0 {
		return identity{}, nil
	}
	if st, err := os.Stat(filepath.Join(pgdata, "PG_VERSION")); err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 {
			return identity{&syscall.Credential{Uid: sys.Uid, Gid: sys.Gid}}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return identity{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
		}
	}
	return identity{}, errors.New("PostgreSQL refuses to run as root, and this system has neither a user postgres nor nobody to run it as")
}

// give makes path belong to the identity.
func (id identity) give(path string) error {
	if id.cred == nil {
		return nil
	}
	return os.Lchown(path, int(id.cred.Uid), int(id.cred.Gid))
}

// folder makes the folder wanted, or, when the identity could not reach it (a
// root's home is closed to everyone else), one under fallback. The choice is
// the same at every start, so data is found again.
func (id identity) folder(wanted, fallback string) (string, error) {
	wanted, err := filepath.Abs(wanted)
	if err != nil {
		return "", fmt.Errorf("resolve folder: %w", err)
	}
	dir := wanted
	reachable, err := id.reaches(filepath.Dir(wanted))
	if err != nil {
		return "", err
	}
	if !reachable {
		sum := sha256.Sum256([]byte(wanted))
		dir = filepath.Join(fallback, filepath.Base(wanted)+"-"+hex.EncodeToString(sum[:4]))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	if id.cred != nil {
		// Whatever the umask was, the server has to pass through.
		if err := os.Chmod(dir, 0o755); err != nil {
			return "", fmt.Errorf("open folder to the server's user: %w", err)
		}
	}
	return dir, nil
}

// reaches says whether the identity may pass through every folder on the way
// to dir. Folders that do not exist yet will be made passable.
func (id identity) reaches(dir string) (bool, error) {
	if id.cred == nil {
		return true, nil
	}
	for {
		real, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return false, fmt.Errorf("look at %s: %w", dir, err)
		}
		return id.passes(real)
	}
}

func (id identity) passes(dir string) (bool, error) {
	for {
		var st syscall.Stat_t
		if err := syscall.Stat(dir, &st); err != nil {
			return false, fmt.Errorf("look at %s: %w", dir, err)
		}
		mode, bit := uint32(st.Mode), uint32(0o001)
		switch {
		case st.Uid == id.cred.Uid:
			bit = 0o100
		case st.Gid == id.cred.Gid:
			bit = 0o010
		}
		if mode&bit == 0 {
			return false, nil
		}
		if dir == filepath.Dir(dir) {
			return true, nil
		}
		dir = filepath.Dir(dir)
	}
}
