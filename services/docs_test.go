package services_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var reference = regexp.MustCompile("`((?:pkg|services|tests)/[a-z_/0-9]+\\.go):([A-Za-z]+)`")

// TestDesignNamesWhatIsThere: a reader who follows a name in DESIGN.md finds it.
func TestDesignNamesWhatIsThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	references := reference.FindAllStringSubmatch(string(text), -1)
	if len(references) < 15 {
		t.Fatalf("only %d references were found: the pattern is broken", len(references))
	}
	for _, r := range references {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", r[1]), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s: %v", r[0], err)
			continue
		}
		if !declares(file, r[2]) {
			t.Errorf("%s: no function of that name", r[0])
		}
	}
}

func declares(file *ast.File, name string) bool {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
			return true
		}
	}
	return false
}
