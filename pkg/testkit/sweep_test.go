package testkit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Folders of killed test processes go; those in use and young ones stay.
// t.Setenv, so not parallel.
func TestSweep(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	hourAgo := time.Now().Add(-time.Hour)
	folder := func(name string, changed time.Time) string {
		dir := filepath.Join(tmp, folderPrefix+name)
		if err := os.MkdirAll(filepath.Join(dir, "postgres"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, changed, changed); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	killed, young, used := folder("killed", hourAgo), folder("young", time.Now()), folder("used", hourAgo)
	lock, err := lockFolder(used)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := os.Chtimes(used, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	sweep()
	if _, err := os.Stat(killed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the killed process's folder is still there: %v", err)
	}
	for _, dir := range []string{young, used} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s is gone", filepath.Base(dir))
		}
	}
}
