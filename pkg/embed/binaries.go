package embed

import (
	"archive/tar"
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/ulikunitz/xz"
)

const (
	postgresVersion = "18.6.0"
	// oldestPostgres is the first major version with transaction_timeout.
	oldestPostgres = 17
)

// postgresPackages holds, for each system, the package with PostgreSQL's
// binaries (linked against glibc on Linux) and its SHA-256.
var postgresPackages = map[string]artifact{
	"linux/amd64":  postgresPackage("linux-amd64", "008ee189eaa7ca2b58bd01dd950291e638b998392cf982297acd4779ec898ac1"),
	"linux/arm64":  postgresPackage("linux-arm64v8", "5f54e016723afa6213925a8acb939bac52944b1d348f65c7a20f0cd2928c31be"),
	"darwin/amd64": postgresPackage("darwin-amd64", "690941008aac9ee360820fde9bb7870a4f3dcac5e9e2f9e45e42333a436ad0f9"),
	"darwin/arm64": postgresPackage("darwin-arm64v8", "8f6ed6f38195b50a40712ada8b2a12060b6193c1a6977a6eb5cff053bb5a1b89"),
}

func postgresPackage(system, sha256 string) artifact {
	return artifact{
		group: "io.zonky.test.postgres", name: "embedded-postgres-binaries-" + system,
		version: postgresVersion, sha256: sha256,
	}
}

// binaries returns a folder with initdb and postgres in it, and their major
// version: the one QUADRILLE_POSTGRES_BIN names, else an unpacked package
// under cache.
func binaries(ctx context.Context, cache string, say func(string, ...any)) (bin string, major int, err error) {
	bin = os.Getenv("QUADRILLE_POSTGRES_BIN")
	if bin == "" {
		if bin, err = unpackedPackage(ctx, cache, say); err != nil {
			return "", 0, err
		}
	}
	major, err = majorVersion(ctx, bin)
	if err != nil {
		return "", 0, err
	}
	if major < oldestPostgres {
		return "", 0, fmt.Errorf("PostgreSQL in %s is version %d; %d or newer is needed", bin, major, oldestPostgres)
	}
	return bin, major, nil
}

// majorVersion asks the server binary itself: "postgres (PostgreSQL) 18.6".
func majorVersion(ctx context.Context, bin string) (int, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("ask PostgreSQL's version: %w", err)
	}
	_, after, _ := strings.Cut(string(out), ") ")
	digits := strings.FieldsFunc(after, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0, fmt.Errorf("unknown PostgreSQL version %q", strings.TrimSpace(string(out)))
	}
	return strconv.Atoi(digits[0])
}

func unpackedPackage(ctx context.Context, cache string, say func(string, ...any)) (string, error) {
	pkg, ok := postgresPackages[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("no PostgreSQL package for %s/%s; set QUADRILLE_POSTGRES_BIN to a folder with its binaries", runtime.GOOS, runtime.GOARCH)
	}
	dir := filepath.Join(cache, pkg.name+"-"+pkg.version)
	bin := filepath.Join(dir, "bin")
	if isFolder(dir) {
		return bin, nil
	}
	lock, err := lockFile(ctx, dir+".lock", nil)
	if err != nil {
		return "", fmt.Errorf("unpack PostgreSQL: %w", err)
	}
	defer lock.unlock()
	if isFolder(dir) { // another process was faster
		return bin, nil
	}
	jar, err := newStore(cache, say).fetch(ctx, pkg)
	if err != nil {
		return "", err
	}
	say("unpacking PostgreSQL %s", pkg.version)
	if err := unpackTo(jar, dir); err != nil {
		return "", fmt.Errorf("unpack PostgreSQL: %w", err)
	}
	return bin, nil
}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// unpackTo unpacks the .txz inside jar; dir appears only once it is whole.
func unpackTo(jar, dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".unpack-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // gone already after the rename
	if err := unpackJar(jar, tmp); err != nil {
		return err
	}
	// The server's user has to read it, and MkdirTemp lets only the owner in.
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

func unpackJar(jar, dir string) error {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".txz") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		x, err := xz.NewReader(r)
		if err != nil {
			return err
		}
		return untar(tar.NewReader(x), dir)
	}
	return errors.New("no .txz in " + filepath.Base(jar))
}

// untar writes the archive under dir. It works through os.Root: no name and no
// link of the archive leads outside.
func untar(t *tar.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := untarOne(root, h, t); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func untarOne(root *os.Root, h *tar.Header, content io.Reader) error {
	name := filepath.Clean(h.Name)
	if h.Typeflag == tar.TypeDir {
		return makeFolders(root, name)
	}
	if err := makeFolders(root, filepath.Dir(name)); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(filepath.Clean(h.Linkname), name)
	case tar.TypeReg:
		f, err := root.Create(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		// Readable whatever the umask: the server may run as another user.
		return errors.Join(err, f.Chmod(0o644|h.FileInfo().Mode().Perm()&0o111), f.Close())
	}
	return fmt.Errorf("unexpected kind of entry %q", h.Typeflag)
}

func makeFolders(root *os.Root, name string) error {
	if name == "." {
		return nil
	}
	if err := root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	return root.Chmod(name, 0o755)
}
