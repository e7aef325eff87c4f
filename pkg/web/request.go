package web

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// HeaderIdempotencyKey names the key under which a request may be sent twice.
const HeaderIdempotencyKey = "Idempotency-Key"

// maxKey is the most characters of an Idempotency-Key.
const maxKey = 255

// IdempotencyKey reads the header; "" where there is none. 400 invalid_parameter if it comes twice, is longer than 255
// characters or holds control characters. An empty one is refused as well: whoever sends it believes to be safe against
// sending twice, and is not.
func IdempotencyKey(c echo.Context) (string, error) {
	keys := c.Request().Header.Values(HeaderIdempotencyKey)
	if len(keys) == 0 {
		return "", nil
	}
	if len(keys) > 1 || !UsableKey(keys[0]) {
		const detail = "The Idempotency-Key is one header of 1 to 255 printable characters."
		return "", fault.Of(fault.CodeInvalidParameter, detail,
			fault.FieldError{Pointer: HeaderIdempotencyKey, Code: fault.CodeInvalidParameter, Detail: detail})
	}
	return keys[0], nil
}

// UsableKey says whether a text can be the key of a request: an Idempotency-Key, or the id of a webhook.
func UsableKey(key string) bool { return key != "" && Printable(key, maxKey) }

// Printable says whether s can be stored and shown: valid UTF-8, no control characters, at most so many characters.
func Printable(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}

// IsCurrency says whether code has the form of an ISO 4217 code: three capital letters.
func IsCurrency(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// Or is what an optional field of a body says, or the fallback where it is absent or null.
func Or[T any](field *T, fallback T) T {
	if field == nil {
		return fallback
	}
	return *field
}

// Fields collects what is wrong with the fields of a body that [Decode] took, so that all of it is said in one answer,
// in the order in which it was asked.
type Fields []fault.FieldError

// Missing notes that a required field is not there, if so.
func (f *Fields) Missing(pointer string, so bool) {
	if so {
		*f = append(*f, fault.FieldError{Pointer: pointer, Code: fault.CodeMissingField, Detail: "The field is required."})
	}
}

// Invalid notes that a field has a value that it cannot have, if so. The detail says what it can have.
func (f *Fields) Invalid(pointer string, so bool, detail string) {
	if so {
		*f = append(*f, fault.FieldError{Pointer: pointer, Code: fault.CodeInvalidField, Detail: detail})
	}
}

// Err is the refusal with all that was noted, 400 missing_field or invalid_field, or nil.
func (f *Fields) Err() error {
	if len(*f) == 0 {
		return nil
	}
	return fault.Invalid(*f...)
}
