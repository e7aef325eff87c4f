// Package services_test holds the boundaries between services: who may import whom, and why. A service
// is deployed and versioned alone; what it knows of another is an event.
package services_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/quadrille-io/quadrille/services/"

// allowed names, for a service (first folder), the other services' packages it may import.
var allowed = map[string]map[string]string{
	"choreography": {"*": "sees every deciding package, to explore and draw them together"},
	"quadrille":    {"*": "is the one binary: it starts them all"},
	"gateway": {
		"choreography": "shows the declared flow and explains a timeline by it; deciding packages only, no store of another service",
		"reconcile":    "compares the services' books on a schedule",
	},
	"order":    {"reconcile": booksOnly},
	"stock":    {"reconcile": booksOnly},
	"coupon":   {"reconcile": booksOnly},
	"payment":  {"reconcile": booksOnly},
	"shipping": {"reconcile": booksOnly},
	"mailer":   {"reconcile": booksOnly},
}

// booksOnly: package book is values, the rows that services lay open; the comparison itself is the gateway's and
// the command line's.
const booksOnly = "writes the rows of its books"

// onlyInTests names services that another's tests may start: real ones instead of mocks.
var onlyInTests = map[string]string{
	"simulator": "the providers' simulators are what adapters are tested against",
	"internal":  "rig runs a service for its tests; what ships does not know it",
}

func TestNoServiceImportsAnother(t *testing.T) {
	t.Parallel()
	files := 0
	for path, imports := range sources(t) {
		files++
		self, _, _ := strings.Cut(filepath.ToSlash(path), "/")
		for _, imp := range imports {
			other, inside := strings.CutPrefix(imp, module)
			if !inside {
				continue
			}
			other, _, _ = strings.Cut(other, "/")
			if other == self || allowed[self]["*"] != "" || allowed[self][other] != "" {
				continue
			}
			if strings.HasSuffix(path, "_test.go") && (onlyInTests[other] != "" || self == "gateway") {
				continue
			}
			t.Errorf("%s imports %s: %s may not know %s; what it needs of it comes in an event", path, imp, self, other)
		}
	}
	if files < 50 {
		t.Fatalf("only %d files were looked at: the walk is broken", files)
	}
}

// deciding lists what a deciding package may import: values in, values out. No clock, no I/O: that is
// what lets the same functions run in production, in the explorer and in the simulator.
var deciding = []string{
	"bytes", "cmp", "crypto/sha256", "encoding/hex", "encoding/json", "errors", "fmt", "iter", "maps", "math", "math/bits", "net/url", "regexp", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
	"google.golang.org/protobuf/",
	"github.com/quadrille-io/quadrille/proto/",
	"github.com/quadrille-io/quadrille/pkg/flow",
	"github.com/quadrille-io/quadrille/pkg/fault",
}

func TestDecidingPackagesDoNoIO(t *testing.T) {
	t.Parallel()
	services := map[string]int{"order": 0, "stock": 0, "coupon": 0, "payment": 0, "shipping": 0, "mailer": 0, "member": 0, "dataplatform": 0, "gateway": 0, "webhook": 0}
	for path, imports := range sources(t) {
		dir, _ := filepath.Split(filepath.ToSlash(path))
		self := strings.TrimSuffix(dir, "/")
		if _, is := services[self]; !is || strings.HasSuffix(path, "_test.go") {
			continue
		}
		services[self]++
		for _, imp := range imports {
			if !permitted(self, imp) {
				t.Errorf("%s imports %s: deciding code has no clock, no random ids and no I/O; what it needs comes in as an argument", path, imp)
			}
		}
	}
	for service, files := range services {
		if files == 0 {
			t.Errorf("no deciding files of %s were found", service)
		}
	}
}

func permitted(self, imp string) bool {
	if other, inside := strings.CutPrefix(imp, module); inside {
		return allowed[self][strings.SplitN(other, "/", 2)[0]] != ""
	}
	for _, ok := range deciding {
		if imp == ok || strings.HasSuffix(ok, "/") && strings.HasPrefix(imp, ok) {
			return true
		}
	}
	return false
}

// sources yields every Go file below this folder with its imports.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || !strings.Contains(path, string(filepath.Separator)) {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		imports := []string{}
		for _, i := range file.Imports {
			imports = append(imports, strings.Trim(i.Path.Value, `"`))
		}
		found[path] = imports
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
