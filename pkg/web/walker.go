package web

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// walker holds a body that is known to be well-formed against a Go type. It goes on after a fault, so that the caller
// hears of all of them at once, and it always consumes exactly one value per call.
type walker struct {
	decoder *json.Decoder
	faults  []fault.FieldError
}

func newWalker(body []byte) *walker {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	return &walker{decoder: decoder}
}

func (w *walker) fault(pointer, code, detail string) {
	if len(w.faults) < maxFieldErrors {
		w.faults = append(w.faults, fault.FieldError{Pointer: pointer, Code: code, Detail: detail})
	}
}

// wrong notes a value of the wrong kind.
func (w *walker) wrong(pointer, want string) {
	subject := "The body"
	if pointer != "" {
		subject = "The value"
	}
	w.fault(pointer, fault.CodeInvalidField, subject+" must be "+want+".")
}

// token cannot fail: the body has been checked as a whole before.
func (w *walker) token() json.Token {
	token, _ := w.decoder.Token()
	return token
}

// value consumes the next value and holds it against t; a nil t accepts any. An element of an array must not be null:
// unlike a field, it cannot be left out, so null would silently become an empty element.
func (w *walker) value(t reflect.Type, pointer string, element bool) {
	if t != nil && custom(t) {
		w.customValue(t, pointer, element)
		return
	}
	nullable := !element
	for t != nil && t.Kind() == reflect.Pointer {
		t, nullable = t.Elem(), true
		if custom(t) {
			w.customValue(t, pointer, element)
			return
		}
	}
	if t != nil && t.Kind() == reflect.Interface {
		t = nil
	}
	switch token := w.token().(type) {
	case json.Delim:
		if token == '{' {
			w.object(t, pointer)
		} else {
			w.array(t, pointer)
		}
	case nil:
		if t != nil && (!nullable || pointer == "") {
			w.wrong(pointer, describe(t)+", not null")
		}
	case string:
		w.text(t, pointer, token)
	case json.Number:
		w.number(t, pointer, token.String())
	case bool:
		if t != nil && t.Kind() != reflect.Bool {
			w.wrong(pointer, describe(t))
		}
	}
}

func (w *walker) object(t reflect.Type, pointer string) {
	var fields map[string]reflect.Type
	var element reflect.Type
	closed := false
	switch {
	case t == nil:
	case t.Kind() == reflect.Struct:
		fields, closed = fieldsOf(t), true
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		element = t.Elem()
	default:
		w.wrong(pointer, describe(t))
	}
	seen := make(map[string]struct{}, 8)
	for w.decoder.More() {
		name, _ := w.token().(string)
		at := pointer + "/" + escapePointer(name)
		field, known := fields[name]
		if !known {
			field = element
		}
		if _, twice := seen[name]; twice {
			w.fault(at, fault.CodeDuplicateField, "The field stands here twice.")
		}
		seen[name] = struct{}{}
		if closed && !known {
			w.unknown(at, name, fields)
		}
		w.plain(at, name)
		w.value(field, at, false)
	}
	w.token()
}

// unknown names the field that was probably meant, when only its case differs: encoding/json would have taken it.
func (w *walker) unknown(pointer, name string, fields map[string]reflect.Type) {
	for field := range fields {
		if strings.EqualFold(field, name) {
			w.fault(pointer, fault.CodeUnknownField, "This field is not known here; it is spelled "+field+".")
			return
		}
	}
	w.fault(pointer, fault.CodeUnknownField, "This field is not known here.")
}

func (w *walker) array(t reflect.Type, pointer string) {
	var element reflect.Type
	switch {
	case t == nil:
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		element = t.Elem()
	default:
		w.wrong(pointer, describe(t))
	}
	for i := 0; w.decoder.More(); i++ {
		w.value(element, pointer+"/"+strconv.Itoa(i), true)
	}
	w.token()
}

func (w *walker) text(t reflect.Type, pointer, text string) {
	if t != nil && t.Kind() != reflect.String {
		w.wrong(pointer, describe(t))
		return
	}
	w.plain(pointer, text)
}

// plain refuses the one character that JSON allows and PostgreSQL's text cannot hold: it would come back as an error of
// the database in the middle of a batch, and that must never be for a caller to cause.
func (w *walker) plain(pointer, text string) {
	if strings.ContainsRune(text, 0) {
		w.fault(pointer, fault.CodeInvalidField, "The text must not contain the character U+0000.")
	}
}

func (w *walker) number(t reflect.Type, pointer, literal string) {
	if t == nil {
		return
	}
	var err error
	switch kind := t.Kind(); kind {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if strings.ContainsAny(literal, ".eE") {
			w.wrong(pointer, "an integer, written without a decimal point or exponent")
			return
		}
		if kind >= reflect.Uint {
			_, err = strconv.ParseUint(literal, 10, t.Bits())
		} else {
			_, err = strconv.ParseInt(literal, 10, t.Bits())
		}
	case reflect.Float32, reflect.Float64:
		_, err = strconv.ParseFloat(literal, t.Bits())
	default:
		w.wrong(pointer, describe(t))
		return
	}
	if err != nil {
		w.wrong(pointer, "within the range of its type")
	}
}

// customValue lets a type with its own reader (a UUID, a time) judge its value, here where the pointer is known.
func (w *walker) customValue(t reflect.Type, pointer string, element bool) {
	var raw json.RawMessage
	if err := w.decoder.Decode(&raw); err != nil {
		w.wrong(pointer, "readable")
		return
	}
	if string(raw) == "null" {
		if element {
			w.wrong(pointer, "a value, not null")
		}
		return
	}
	// The type's own reader may take what two readers understand differently: a name twice, deep inside.
	inner := newWalker(raw)
	inner.value(nil, pointer, element)
	for _, f := range inner.faults {
		w.fault(f.Pointer, f.Code, f.Detail)
	}
	if len(inner.faults) > 0 {
		return
	}
	if err := json.Unmarshal(raw, reflect.New(t).Interface()); err != nil {
		w.wrong(pointer, describe(t))
	}
}

var (
	jsonReader = reflect.TypeFor[json.Unmarshaler]()
	textReader = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawMessage = reflect.TypeFor[json.RawMessage]()
)

func custom(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface || t == rawMessage {
		return t == rawMessage
	}
	p := reflect.PointerTo(t)
	return p.Implements(jsonReader) || p.Implements(textReader)
}

// describe is what a caller is told; Go's names would mean nothing to them.
func describe(t reflect.Type) string {
	if custom(t) {
		return fmt.Sprintf("a valid %s", strings.ToLower(t.Name()))
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "an integer"
	}
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// escapePointer follows RFC 6901 section 3.
func escapePointer(name string) string {
	const longest = 64
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	return pointerEscape.Replace(name)
}
