package web

import (
	"reflect"
	"strings"
	"sync"
)

var shapes sync.Map // reflect.Type → map[string]reflect.Type

// fieldsOf lists a struct's JSON fields with their types. Embedded structs without a name of their own lend theirs;
// the outer field wins, as in encoding/json.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if known, ok := shapes.Load(t); ok {
		return known.(map[string]reflect.Type)
	}
	fields := map[string]reflect.Type{}
	collect(t, fields)
	shapes.Store(t, fields)
	return fields
}

func collect(t reflect.Type, fields map[string]reflect.Type) {
	var embedded []reflect.Type
	for field := range t.Fields() {
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if tag == "-" {
			continue
		}
		if field.Anonymous && name == "" {
			inner := field.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				embedded = append(embedded, inner)
				continue
			}
		}
		if !field.IsExported() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		fields[name] = field.Type
	}
	for _, inner := range embedded {
		lent := map[string]reflect.Type{}
		collect(inner, lent)
		for name, typ := range lent {
			if _, taken := fields[name]; !taken {
				fields[name] = typ
			}
		}
	}
}
