package flow_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quadrille-io/quadrille/pkg/flow"
)

type row struct {
	Left  int
	Tags  []string `json:",omitempty"`
	Owner string
}

var (
	keys     = rapid.StringMatching(`[a-z가-힣<&"\\ ]{0,3}`)
	rowValue = rapid.Custom(func(t *rapid.T) row {
		return row{Left: rapid.Int().Draw(t, "left"), Owner: rapid.String().Draw(t, "owner")}
	})
)

// A row is a value: what a decision does not Put back did not happen.
func TestRowsAreValues(t *testing.T) {
	t.Parallel()
	var rows flow.Rows[string, row]
	if _, ok := rows.Get("a"); ok || rows.Len() != 0 || len(rows.Changed()) != 0 {
		t.Error("an empty table has a row")
	}
	rows.Loaded("a", row{Left: 1})
	got, ok := rows.Get("a")
	got.Left = 7
	again, _ := rows.Get("a")
	if !ok || again.Left != 1 || len(rows.Changed()) != 0 {
		t.Errorf("changing a copy changed the row: %+v", again)
	}
	rows.Put("a", got)
	if again, _ = rows.Get("a"); again.Left != 7 {
		t.Errorf("put back, it is %+v", again)
	}
}

// Against two maps: what Load found and what was put since.
func TestRowsChanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var rows flow.Rows[string, row]
		loaded := rapid.MapOf(keys, rowValue).Draw(t, "loaded")
		for k, r := range loaded {
			rows.Loaded(k, r)
		}
		put := map[string]row{}
		for range rapid.IntRange(0, 20).Draw(t, "puts") {
			k, r := keys.Draw(t, "key"), rowValue.Draw(t, "row")
			rows.Put(k, r)
			put[k] = r
		}
		want := []flow.Change[string, row]{}
		for _, k := range slices.Sorted(maps.Keys(put)) {
			_, known := loaded[k]
			want = append(want, flow.Change[string, row]{Key: k, Row: put[k], New: !known})
		}
		if diff := cmp.Diff(want, rows.Changed()); diff != "" {
			t.Fatal(diff)
		}
		all := maps.Clone(loaded)
		maps.Copy(all, put)
		var order []string
		for k, r := range rows.All() {
			order = append(order, k)
			if !cmp.Equal(r, all[k]) {
				t.Fatalf("%q is %+v, want %+v", k, r, all[k])
			}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(all)), order); diff != "" || rows.Len() != len(all) {
			t.Fatalf("%d rows: %s", rows.Len(), diff)
		}
	})
}

func TestAllStopsWhenAsked(t *testing.T) {
	t.Parallel()
	var rows flow.Rows[int, string]
	for i := range 5 {
		rows.Put(4-i, "")
	}
	var got []int
	for k := range rows.All() {
		if got = append(got, k); k == 2 {
			break
		}
	}
	if !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("yielded %v", got)
	}
}

// Equal tables give equal bytes, in whatever order they were filled and whether a row was loaded or put;
// and what is read back is the same table, with nothing changed.
func TestRowsAsJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(keys, rowValue).Draw(t, "rows")
		order := rapid.Permutation(slices.Sorted(maps.Keys(want))).Draw(t, "order")
		var loaded, put flow.Rows[string, row]
		for _, k := range order {
			put.Put(k, row{})
			put.Put(k, want[k])
		}
		slices.Sort(order)
		for _, k := range order {
			loaded.Loaded(k, want[k])
		}
		one, other := encode(t, loaded), encode(t, put)
		if !bytes.Equal(one, other) {
			t.Fatalf("equal tables are written as %s and %s", one, other)
		}
		// A World is written by value as well as by pointer, and into one that was used before.
		back := struct{ Rows flow.Rows[string, row] }{}
		back.Rows.Put("left over", row{})
		if err := json.Unmarshal(append(append([]byte(`{"Rows":`), one...), '}'), &back); err != nil {
			t.Fatal(err)
		}
		if back.Rows.Len() != len(want) || len(back.Rows.Changed()) != 0 {
			t.Fatalf("read back: %d rows, %d of them changed; want %d", back.Rows.Len(), len(back.Rows.Changed()), len(want))
		}
		if again := encode(t, &back.Rows); !bytes.Equal(one, again) {
			t.Fatalf("%s is read and written as %s", one, again)
		}
		for k, r := range back.Rows.All() {
			if !cmp.Equal(r, want[k]) {
				t.Fatalf("%q is read back as %+v, want %+v", k, r, want[k])
			}
		}
	})
}

func encode(t *rapid.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRowsRefuseBrokenJSON(t *testing.T) {
	t.Parallel()
	var rows flow.Rows[string, row]
	for _, broken := range []string{`[]`, `{"a":1}`, `{"a":`} {
		if json.Unmarshal([]byte(broken), &rows) == nil {
			t.Errorf("%s was read", broken)
		}
	}
	if b, err := json.Marshal(flow.Rows[string, row]{}); err != nil || string(b) != "{}" {
		t.Errorf("an empty table is %s, %v", b, err)
	}
}
