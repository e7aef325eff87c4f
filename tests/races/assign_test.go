package races_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// smuggled are names that servers elsewhere took from a body: who may do what, what is paid, and what a
// parser makes of a prototype.
var smuggled = []string{
	"status", "paymentStatus", "orderId", "createdAt", "updatedAt", "version", "total", "paid", "refunded", "price", "issued", "state",
	"role", "roles", "admin", "isAdmin", "operator", "sub", "member", "key", "id", "_id", "__proto__", "constructor", "$ref", "",
}

// massAssignment adds to every body every field that some part of the API knows, and some that others
// knew: each is refused by its pointer, and none has any effect.
func massAssignment(t *testing.T, s *site) {
	words := append(s.document.words(), smuggled...)
	slices.Sort(words)
	words = slices.Compact(words)
	before, tried := s.effects(t), 0
	for call, d := range doors {
		described := s.document.resolve(s.document.of(call).Body)
		if described == nil || d.access == signed {
			continue
		}
		client := s.principals[theOwner]
		if d.access == office {
			client = s.principals[operator]
		}
		method, _, _ := strings.Cut(call, " ")
		for _, at := range s.levels(t, described, d.body(s)) {
			for _, word := range at.strange(words) {
				tried++
				s.refused(t, client, rest.Request{Method: method, Path: d.path(s), Body: at.with(word)}, at.pointer+"/"+escape(word))
			}
		}
	}
	if after := s.effects(t); !maps.Equal(before, after) {
		t.Errorf("refused bodies had an effect: rows before %v, after %v", before, after)
	}
	if tried < 500 {
		t.Errorf("only %d bodies were tried", tried)
	}
	s.saw("%d bodies with a field too many", tried)
}

// level is one object within a body.
type level struct {
	pointer string
	known   []string
	with    func(extra string) fields
}

// levels are the body itself and the objects in it. What the example has not got is made up as an empty
// object: its unknown field is what counts.
func (s *site) levels(t *testing.T, described *schema, body fields) []level {
	t.Helper()
	if body == nil {
		body = fields{}
	}
	list := []level{{
		known: slices.Sorted(maps.Keys(described.Properties)),
		with:  func(extra string) fields { return body.with(fields{extra: nil}) },
	}}
	for name, inner := range described.Properties {
		inner = s.document.resolve(inner)
		if inner.Type == "object" {
			object, _ := body[name].(fields)
			list = append(list, level{"/" + name, slices.Sorted(maps.Keys(inner.Properties)), func(extra string) fields {
				return body.with(fields{name: fields{}.with(object).with(fields{extra: 1})})
			}})
		}
		if element := s.document.resolve(inner.Items); element != nil && element.Type == "object" {
			lines := body[name].([]fields)
			list = append(list, level{"/" + name + "/0", slices.Sorted(maps.Keys(element.Properties)), func(extra string) fields {
				return body.with(fields{name: []fields{lines[0].with(fields{extra: 1})}})
			}})
		}
	}
	return list
}

// strange are the words that the level does not know, and those it knows in another case: a decoder that
// does not mind would take a field that a proxy's or an audit's check has not seen.
func (l level) strange(words []string) (list []string) {
	for _, word := range words {
		if !slices.Contains(l.known, word) {
			list = append(list, word)
		}
	}
	for _, word := range l.known {
		first := []rune(word)
		first[0] = unicode.ToUpper(first[0])
		list = append(list, string(first), strings.ToUpper(word))
	}
	return list
}

// escape is a name as a part of a JSON Pointer (RFC 6901).
func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

func (s *site) refused(t *testing.T, client rest.Client, r rest.Request, pointer string) {
	t.Helper()
	res, _, err := send(t.Context(), client, r)
	if err != nil {
		t.Fatal(err)
	}
	p := res.Problem()
	named := slices.ContainsFunc(p.Errors, func(f rest.FieldError) bool { return f.Pointer == pointer && f.Code == "unknown_field" })
	if res.Status != http.StatusBadRequest || !named {
		t.Errorf("%s %s with %s is answered %v, want 400 unknown_field at it", r.Method, r.Path, pointer, p)
	}
}

// effects counts what a request could have changed.
func (s *site) effects(t *testing.T) map[string]int64 {
	t.Helper()
	s.awaitRest(t)
	counts := map[string]int64{}
	for name, pool := range s.pools {
		var emitted, commands int64
		err := pool.QueryRow(t.Context(), `SELECT (SELECT coalesce(sum(emitted), 0) FROM subject), (SELECT count(*) FROM command)`).Scan(&emitted, &commands)
		if err != nil {
			t.Fatal(err)
		}
		counts[name+" events"], counts[name+" commands"] = emitted, commands
	}
	return counts
}
