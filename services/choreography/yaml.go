package choreography

import (
	"encoding/json"
	"fmt"
	"strings"
)

// pair is one entry of a YAML mapping. Order is kept, so that a regenerated file differs only where the
// choreography does.
type pair struct {
	key   string
	value any // string, bool, int, mapping or []any
}

type mapping []pair

// add appends an entry.
func (m *mapping) add(key string, value any) { *m = append(*m, pair{key, value}) }

// yamlText writes a mapping as YAML. Strings are double quoted, which YAML reads as JSON does.
func yamlText(m mapping) string {
	var b strings.Builder
	writeMapping(&b, m, "")
	return b.String()
}

func writeMapping(b *strings.Builder, m mapping, indent string) {
	for _, p := range m {
		b.WriteString(indent + key(p.key) + ":")
		writeValue(b, p.value, indent)
	}
}

func writeValue(b *strings.Builder, value any, indent string) {
	switch v := value.(type) {
	case mapping:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteString("\n")
		writeMapping(b, v, indent+"  ")
	case []any:
		b.WriteString("\n")
		for _, item := range v {
			if m, ok := item.(mapping); ok && len(m) > 0 {
				var inner strings.Builder
				writeMapping(&inner, m, indent+"    ")
				b.WriteString(indent + "  - " + strings.TrimPrefix(inner.String(), indent+"    "))
				continue
			}
			b.WriteString(indent + "  -")
			writeValue(b, item, indent+"  ")
		}
	default:
		b.WriteString(" " + scalar(v) + "\n")
	}
}

// key quotes what would not be read as a plain word.
func key(k string) string {
	if strings.HasPrefix(k, "$") || strings.ContainsAny(k, ":# ") {
		return scalar(k)
	}
	return k
}

func scalar(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("yaml: %v", err)) // strings, bools and ints only
	}
	return strings.TrimSuffix(b.String(), "\n")
}
