// Package rolling replaces a running system's services by other versions of them, one replica after the other, with
// customers ordering all the time, and back again.
//
// The other versions are real ones: built from the same tree with `go build -overlay`, so that they differ as the next
// release would. They publish what this one does not know, and read what this one does not publish.
package rolling

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// version is a change of the tree.
type version struct {
	name string
	// services that are built of it; nil is all.
	services []string
	edits    []edit
	// files are added, by their path from the root: the content, or what to copy from there with the prefix "@".
	files map[string]string
}

// edit replaces old, which stands exactly once in file, by new.
type edit struct{ file, old, new string }

// and is v with more.
func (v version) and(name string, services []string, more version) version {
	v.name, v.services = name, services
	v.edits = append(v.edits[:len(v.edits):len(v.edits)], more.edits...)
	files := map[string]string{}
	for _, from := range []map[string]string{v.files, more.files} {
		for path, content := range from {
			files[path] = content
		}
	}
	v.files = files
	return v
}

// build builds the version's programs into dir.
func (v version) build(ctx context.Context, dir string) error {
	root, err := root(ctx)
	if err != nil {
		return err
	}
	overlay, err := v.overlay(root)
	if err != nil {
		return fmt.Errorf("version %s: %w", v.name, err)
	}
	if err := cluster.Build(ctx, cluster.Program{Dir: dir, Services: v.services, Overlay: overlay}); err != nil {
		return fmt.Errorf("version %s: %w", v.name, err)
	}
	return nil
}

// root is the folder of go.work.
func root(ctx context.Context) (string, error) {
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

// overlay writes the version's files and what `go build -overlay` reads, and returns the path of the latter. They are in
// the user's cache folder, always under the same names, so that a version that was built is not built again.
func (v version) overlay(root string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "quadrille", "rolling-"+v.name)
	contents, err := v.contents(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for path, content := range contents {
		file := filepath.Join(dir, filepath.FromSlash(path))
		if err := write(file, content); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(path))] = file
	}
	encoded, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, write(path, encoded)
}

// contents are the files as the version has them, by path from the root.
func (v version) contents(root string) (map[string][]byte, error) {
	contents := map[string][]byte{}
	for path, content := range v.files {
		contents[path] = []byte(content)
		if from, copied := strings.CutPrefix(content, "@"); copied {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(from)))
			if err != nil {
				return nil, err
			}
			contents[path] = b
		}
	}
	for _, e := range v.edits {
		text, changed := contents[e.file]
		if !changed {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.file)))
			if err != nil {
				return nil, err
			}
			text = b
		}
		if n := bytes.Count(text, []byte(e.old)); n != 1 {
			return nil, fmt.Errorf("%s has %d times what is to be replaced: %s", e.file, n, e.old)
		}
		contents[e.file] = bytes.Replace(text, []byte(e.old), []byte(e.new), 1)
	}
	return contents, nil
}

// write puts a file in place whole, and only where it changes: another test may be building of it.
func write(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
	if err := errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
