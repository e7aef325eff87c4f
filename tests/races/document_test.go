package races_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// document is what the tests read of the served OpenAPI document.
type document struct {
	Security   []map[string][]string                `json:"security"`
	Paths      map[string]map[string]documentedCall `json:"-"`
	RawPaths   map[string]map[string]any            `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

// documentedCall is one method of one path.
type documentedCall struct {
	// Open says that no token is needed.
	Open bool
	// Body is the schema of its JSON body, nil if it has none.
	Body *schema
}

type schema struct {
	Ref        string             `json:"$ref"`
	Type       string             `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
}

// readDocument reads the document as the gateway serves it.
func (a *arena) readDocument(t *testing.T) document {
	t.Helper()
	var d document
	if err := a.nobody().at[0].Get(t.Context(), "/openapi.json", &d); err != nil {
		t.Fatal(err)
	}
	d.Paths = map[string]map[string]documentedCall{}
	for path, item := range d.RawPaths {
		d.Paths[path] = map[string]documentedCall{}
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			if raw, has := item[method]; has {
				d.Paths[path][strings.ToUpper(method)] = d.call(t, raw)
			}
		}
	}
	if len(d.calls()) < 20 {
		t.Fatalf("the document has only %v", d.calls())
	}
	return d
}

// call reads one operation. Its own security replaces the document's; an empty list is none at all.
func (d document) call(t *testing.T, raw any) documentedCall {
	t.Helper()
	op := decode[struct {
		Security    *[]map[string][]string `json:"security"`
		RequestBody struct {
			Content map[string]struct{ Schema *schema }
		} `json:"requestBody"`
	}](t, encode(t, fields{"op": raw})[len(`{"op":`):len(encode(t, fields{"op": raw}))-1])
	security := d.Security
	if op.Security != nil {
		security = *op.Security
	}
	return documentedCall{Open: len(security) == 0, Body: op.RequestBody.Content["application/json"].Schema}
}

// calls are "METHOD path" of all.
func (d document) calls() (list []string) {
	for path, methods := range d.Paths {
		for method := range methods {
			list = append(list, method+" "+path)
		}
	}
	slices.Sort(list)
	return list
}

// of finds a call by "METHOD path".
func (d document) of(call string) documentedCall {
	method, path, _ := strings.Cut(call, " ")
	return d.Paths[path][method]
}

// resolve follows a reference.
func (d document) resolve(s *schema) *schema {
	for s != nil && s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	return s
}

// words are the names of all fields that any schema has: what a server knows, and a client may try to set.
func (d document) words() []string {
	words := map[string]bool{}
	var walk func(s *schema)
	walk = func(s *schema) {
		if s == nil {
			return
		}
		for name, inner := range s.Properties {
			words[name] = true
			walk(inner)
		}
		walk(s.Items)
	}
	for _, s := range d.Components.Schemas {
		walk(s)
	}
	return slices.Sorted(maps.Keys(words))
}
