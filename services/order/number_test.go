package order

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// A number leads back to its order, however it was written down, and to no other of the same process.
func TestNumberOf(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 5_000 {
		id := uuid.Must(uuid.NewV7()).String()
		number := NumberOf(id)
		if seen[number] || len(number) != 14 {
			t.Fatalf("%s is %q", id, number)
		}
		seen[number] = true
		spoken := strings.ToLower(strings.NewReplacer("-", " ", "1", "l", "0", "o").Replace(number))
		for _, written := range []string{number, strings.ReplaceAll(number, "-", ""), spoken} {
			from, to, ok := NumberRange(written)
			if !ok || id < from || id > to || NumberOf(from) != number || NumberOf(to) != number {
				t.Fatalf("%s: %q is %s to %s, %t", id, written, from, to, ok)
			}
		}
	}
	if got := NumberOf("0199a1b2-0000-7000-8000-0000000000aa"); got != "0P18-H100-000G" {
		t.Errorf("a number that was told once has become %s", got)
	}
}

// One wrong letter, or two that changed places, are noticed always.
func TestOrderNumberIsChecked(t *testing.T) {
	t.Parallel()
	number := strings.ReplaceAll(NumberOf(uuid.Must(uuid.NewV7()).String()), "-", "")
	for i := range len(number) {
		for _, letter := range numberAlphabet {
			wrong := number[:i] + string(letter) + number[i+1:]
			if _, _, ok := NumberRange(wrong); ok != (wrong == number) {
				t.Errorf("%s for %s: %t", wrong, number, ok)
			}
		}
		for j := range i {
			swapped := []byte(number)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			if _, _, ok := NumberRange(string(swapped)); ok != (string(swapped) == number) {
				t.Errorf("%s for %s: %t", swapped, number, ok)
			}
		}
	}
}

// Whatever somebody looks for, it is a number or it is not; a range never spans two.
func TestNumberRange(t *testing.T) {
	t.Parallel()
	for _, no := range []string{"", "o", "0199a1b2-0000-7000-8000-0000000000aa", "UUUU-UUUU-UUUU", "한한한한", "0000-0000-0001"} {
		if _, _, ok := NumberRange(no); ok {
			t.Errorf("%q is a number", no)
		}
	}
	if got := NumberOf("3f3f3f3f-3f3f-4f3f-8f3f-3f3f3f3f3f3f"); got != "" {
		t.Errorf("an id without a time: %s", got)
	}
	rapid.Check(t, func(r *rapid.T) {
		ms := rapid.Int64Range(numberEpoch, numberEpoch+1<<numberTimeBits-1).Draw(r, "ms")
		id := uuid.New()
		for i := range 6 {
			id[i] = byte(ms >> (40 - 8*i))
		}
		id[6] = 0x70 | id[6]&0x0f
		from, to, ok := NumberRange(NumberOf(id.String()))
		if !ok || id.String() < from || id.String() > to || from[:19] != to[:19] {
			r.Errorf("%s (%s): %s to %s", id, time.UnixMilli(ms).UTC(), from, to)
		}
	})
}
