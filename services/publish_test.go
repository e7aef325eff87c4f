package services_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// producing are the methods of the Kafka client that send records.
var producing = []string{"Produce", "ProduceSync", "TryProduce"}

// An event leaves a service through the outbox, which takes a transaction: nothing else that ships sends records.
// Sent beside it, an event would tell of a change that was never committed, or a change be committed that nobody
// hears of.
func TestOnlyTheOutboxPublishes(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for _, root := range []string{".", filepath.Join("..", "pkg")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, is := n.(*ast.SelectorExpr); is && slices.Contains(producing, s.Sel.Name) {
					found[filepath.ToSlash(path)]++
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const outbox = "../pkg/outbox/publish.go"
	if found[outbox] == 0 {
		t.Error("the outbox sends nothing: the walk is broken")
	}
	for path := range found {
		// The rig plays the neighbours of the service under test; what ships does not know it (see onlyInTests).
		if path != outbox && path != "internal/rig/event.go" {
			t.Errorf("%s sends records: an event goes through outbox.Append, in the transaction of what it tells", path)
		}
	}
}
