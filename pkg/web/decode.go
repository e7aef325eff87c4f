package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

const (
	// maxDepth is far more than any body of ours needs and far less than would hurt a recursive reader.
	maxDepth = 32
	// maxFieldErrors bounds an answer: a body of 64 KiB could have ten thousand unknown fields.
	maxFieldErrors = 16
)

// Decode reads the JSON body into dst, a pointer to a struct, and refuses everything that two readers could understand
// differently: unknown, duplicate and differently spelled fields, wrong types, a second value behind the first,
// invalid UTF-8. Every field at fault is in the refusal with its JSON Pointer. An absent field and null are the same;
// whether a field is required is for the caller to say, who knows it.
//
// Refusals: 400 invalid_json, unknown_field, duplicate_field, invalid_field; 413 body_too_large; 415 unsupported_media_type.
func Decode(c echo.Context, dst any) error {
	if err := requireJSON(c.Request()); err != nil {
		return err
	}
	body, err := Body(c)
	if err != nil {
		return err
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return fault.Of(fault.CodeInvalidJSON, "The body is empty.")
	}
	return decode(body, dst)
}

// DecodeOptional is Decode for actions whose body may be absent; dst then keeps its values.
func DecodeOptional(c echo.Context, dst any) error {
	body, err := Body(c)
	if err != nil {
		return err
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return nil
	}
	if err := requireJSON(c.Request()); err != nil {
		return err
	}
	return decode(body, dst)
}

// Body reads the raw body, for signatures that are made over its bytes. It errors with 413 past the limit and with 408
// when the client is too slow.
func Body(c echo.Context) ([]byte, error) {
	if c.Request().Body == nil {
		return nil, nil
	}
	return readAll(c.Request())
}

func readAll(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		return body, nil
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, err
	}
	// A deadline passed or the connection was cut in the middle: the request did not arrive, and that is not our
	// failure. The request's context says nothing here: the server cancels it also for its own read deadline, while
	// the client is still there and should hear the reason.
	return nil, fault.Of(fault.CodeRequestTimeout, "The body did not arrive completely.")
}

func requireJSON(r *http.Request) error {
	mediaType, parameters, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType))
	if err != nil || mediaType != echo.MIMEApplicationJSON {
		return fault.Of(fault.CodeUnsupportedMediaType, "The Content-Type must be application/json.")
	}
	if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return fault.Of(fault.CodeUnsupportedMediaType, "The charset must be utf-8.")
	}
	if encoding := r.Header.Get(echo.HeaderContentEncoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return fault.Of(fault.CodeUnsupportedMediaType, "A Content-Encoding is not supported.")
	}
	return nil
}

// decode makes two passes: the first holds every token against the type of dst and knows where it is, the second is
// encoding/json, which then has nothing left to refuse.
func decode(body []byte, dst any) error {
	if err := wellFormed(body); err != nil {
		return err
	}
	w := newWalker(body)
	w.value(reflect.TypeOf(dst).Elem(), "", false)
	if len(w.faults) > 0 {
		return fault.Invalid(w.faults...)
	}
	if err := json.Unmarshal(body, dst); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) {
			pointer := "/" + strings.ReplaceAll(wrongType.Field, ".", "/")
			return fault.Invalid(fault.FieldError{Pointer: pointer, Code: fault.CodeInvalidField, Detail: "The value has the wrong type."})
		}
		return fault.Of(fault.CodeInvalidJSON, "The body cannot be read.")
	}
	return nil
}

func wellFormed(body []byte) error {
	if !utf8.Valid(body) {
		return fault.Of(fault.CodeInvalidJSON, "The body is not valid UTF-8.")
	}
	if tooDeep(body) {
		return fault.Of(fault.CodeInvalidJSON, fmt.Sprintf("The body is nested deeper than %d levels.", maxDepth))
	}
	var whole json.RawMessage
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(body, &whole); {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return fault.Of(fault.CodeInvalidJSON, fmt.Sprintf("The body is not one JSON value: trouble at byte %d.", syntax.Offset))
	default:
		return fault.Of(fault.CodeInvalidJSON, "The body is not one JSON value.")
	}
}

// tooDeep counts brackets outside strings, before anything recursive looks at the body.
func tooDeep(body []byte) bool {
	depth, inString, escaped := 0, false, false
	for _, b := range body {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped = b == '\\'
			inString = b != '"'
		case b == '"':
			inString = true
		case b == '{', b == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case b == '}', b == ']':
			depth--
		}
	}
	return false
}
