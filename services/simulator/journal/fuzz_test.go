package journal

import (
	"bytes"
	"testing"
)

// FuzzScan: of a file that a crash or a disk has spoilt, what is replayed are whole lines from the beginning, exactly
// those that were written, and writing goes on behind the last of them.
func FuzzScan(f *testing.F) {
	var whole []byte
	for _, entry := range []string{`{"a":1}`, `{}`, ``} {
		whole = appendLine(whole, []byte(entry))
	}
	f.Add(whole, []byte(`{"b":2}`))
	f.Add(whole[:len(whole)-3], []byte(`x`))
	f.Add([]byte("00000000 {}\n"), []byte("a b"))
	f.Add([]byte(nil), []byte(nil))
	f.Add(bytes.Replace(whole, []byte("1"), []byte("2"), 1), []byte("{}"))
	f.Fuzz(func(t *testing.T, file, entry []byte) {
		var replayed [][]byte
		end, err := scan(bytes.NewReader(file), func(e []byte) error {
			replayed = append(replayed, bytes.Clone(e))
			return nil
		})
		if err != nil {
			return // damaged before its end: a person has to look at it, and nothing is taken for the truth
		}
		if end < 0 || end > int64(len(file)) {
			t.Fatalf("%d of %d bytes", end, len(file))
		}
		var again []byte
		for _, e := range replayed {
			again = appendLine(again, e)
		}
		if !bytes.Equal(again, file[:end]) {
			t.Fatalf("%q is replayed as %q", file[:end], again)
		}
		if bytes.ContainsRune(entry, '\n') {
			return // an entry is one line of JSON
		}
		n := 0
		if _, err := scan(bytes.NewReader(appendLine(again, entry)), func([]byte) error { n++; return nil }); err != nil || n != len(replayed)+1 {
			t.Fatalf("%d of %d entries after one more: %v", n, len(replayed)+1, err)
		}
	})
}
