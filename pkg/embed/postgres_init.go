package embed

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
	"strconv"
	"strings"
)

// superuser is the role initdb makes.
const superuser = "postgres"

func (p *Postgres) secretPath() string { return filepath.Join(p.dataDir, "secret") }

// initialise makes an empty cluster when there is none.
func (p *Postgres) initialise(ctx context.Context) error {
	b, err := os.ReadFile(filepath.Join(p.pgdata(), "PG_VERSION"))
	if err == nil {
		return p.checkVersion(strings.TrimSpace(string(b)))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for a cluster: %w", err)
	}
	if isFolder(p.pgdata()) {
		return fmt.Errorf("%s is there but holds no PostgreSQL cluster; it is left alone", p.pgdata())
	}
	if p.cfg.FromTemplate {
		return p.copyTemplate(ctx)
	}
	p.say("making an empty PostgreSQL cluster")
	return p.initdb(ctx, p.dataDir)
}

// checkVersion refuses data of another major version: PostgreSQL cannot read
// it, and nothing here may delete it.
func (p *Postgres) checkVersion(have string) error {
	if have != strconv.Itoa(p.major) {
		return fmt.Errorf("%s holds data of PostgreSQL %s, the binaries are version %d; use another data folder, or upgrade it with pg_upgrade", p.pgdata(), have, p.major)
	}
	return nil
}

// initdb makes dir/pgdata with a superuser whose password derives from
// dir/secret. It works under another name first: a killed initdb leaves
// nothing that a later start takes for a cluster.
func (p *Postgres) initdb(ctx context.Context, dir string) error {
	secret, err := secret(filepath.Join(dir, "secret"))
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, ".initdb-*")
	if err != nil {
		return fmt.Errorf("make folder for initdb: %w", err)
	}
	defer os.RemoveAll(tmp)
	pwfile, work := filepath.Join(tmp, "pw"), filepath.Join(tmp, "pgdata")
	if err := os.WriteFile(pwfile, []byte(password(secret, superuser)+"\n"), 0o600); err != nil {
		return fmt.Errorf("write initdb's password: %w", err)
	}
	if err := errors.Join(p.id.give(pwfile), p.id.give(tmp)); err != nil {
		return fmt.Errorf("give files to the server's user: %w", err)
	}
	args := []string{
		"--pgdata", work, "--username", superuser, "--pwfile", pwfile, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C",
		"--set", "scram_iterations=1",
	}
	if !p.cfg.Fsync {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "initdb"), args...)
	cmd.Dir, cmd.Env = tmp, serverEnv()
	cmd.SysProcAttr = serverAttr(p.id.cred, 0)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w:\n%s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(work, filepath.Join(dir, "pgdata")); err != nil {
		return fmt.Errorf("put cluster in place: %w", err)
	}
	return nil
}

// copyTemplate copies an empty cluster that some earlier call made: 0.1 s
// where initdb takes a second.
func (p *Postgres) copyTemplate(ctx context.Context) error {
	owner := os.Geteuid()
	if p.id.cred != nil {
		owner = int(p.id.cred.Uid)
	}
	// One template per owner and binaries.
	sum := sha256.Sum256([]byte(p.bin))
	dir := filepath.Join(p.cfg.CacheDir, fmt.Sprintf("empty-cluster-%d-%x-%d", p.major, sum[:4], owner))
	lock, err := lockFile(ctx, dir+".lock", nil)
	if err != nil {
		return fmt.Errorf("take cluster template: %w", err)
	}
	defer lock.unlock()
	if !isFolder(filepath.Join(dir, "pgdata")) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make folder for cluster template: %w", err)
		}
		if err := p.initdb(ctx, dir); err != nil {
			return err
		}
	}
	if err := p.copyTree(filepath.Join(dir, "pgdata"), p.pgdata()); err != nil {
		return fmt.Errorf("copy cluster template: %w", err)
	}
	if err := copyFile(filepath.Join(dir, "secret"), p.secretPath(), 0o600); err != nil {
		return fmt.Errorf("copy cluster template: %w", err)
	}
	return nil
}

// copyTree copies a cluster; the result belongs to the server's user.
func (p *Postgres) copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		if d.IsDir() {
			err = os.Mkdir(dst, 0o700)
		} else {
			err = copyFile(path, dst, 0o600)
		}
		if err != nil {
			return err
		}
		return p.id.give(dst)
	})
}

func copyFile(from, to string, mode fs.FileMode) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}
