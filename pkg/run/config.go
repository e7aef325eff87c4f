package run

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Secret is a string that is not printed: not by slog, fmt or JSON. Only Reveal gives it away.
type Secret string

const mask = "******"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns a mask, or "" if there is nothing to hide, so that a missing secret can be seen.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString masks %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue masks slog attributes.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks JSON and everything else that encodes text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Load fills cfg, a pointer to a struct with `env` tags, from the environment, and validates it.
func Load(cfg any) error {
	return LoadFrom(env.ToMap(os.Environ()), cfg)
}

// LoadFrom is Load from a given environment: `quadrille up` runs several services, each with its own, in one process.
// It reports everything that is wrong at once: what cannot be read, and what the Validate methods of cfg and of the
// structs in it refuse.
func LoadFrom(environ map[string]string, cfg any) error {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("load configuration: want a pointer to a struct, not %T", cfg)
	}
	var problems []error
	if err := env.ParseWithOptions(cfg, env.Options{Environment: environ}); err != nil {
		var all env.AggregateError
		if errors.As(err, &all) {
			problems = append(problems, all.Errors...)
		} else {
			problems = append(problems, err)
		}
	}
	problems = append(problems, validate(v.Elem())...)
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("load configuration: %w", err)
	}
	return nil
}

type validator interface{ Validate() error }

// validate asks inner structs first. A struct that embeds another also has its Validate method, so a method that comes
// from an embedded field is left to that field: otherwise everything would be said twice.
func validate(v reflect.Value) []error {
	var problems []error
	lent := false
	for i := range v.NumField() {
		field, typ := v.Field(i), v.Type().Field(i)
		if field.Kind() != reflect.Struct || !typ.IsExported() {
			continue
		}
		inner := validate(field)
		problems = append(problems, inner...)
		if typ.Anonymous && len(inner) > 0 {
			lent = true
		}
	}
	own, ok := v.Addr().Interface().(validator)
	if !ok {
		return problems
	}
	err := own.Validate()
	if err == nil || (lent && contains(problems, err)) {
		return problems
	}
	return append(problems, err)
}

func contains(problems []error, err error) bool {
	return slices.ContainsFunc(problems, func(p error) bool { return p.Error() == err.Error() })
}

// Print writes the configuration as one line, by the names of the variables, with secrets masked: fields of type
// [Secret], fields tagged `secret:"true"`, and passwords inside URLs.
func Print(log *slog.Logger, cfg any) {
	v := reflect.Indirect(reflect.ValueOf(cfg))
	log.LogAttrs(context.Background(), slog.LevelInfo, "configuration", attributes(v, "")...)
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[Secret]()
	textType     = reflect.TypeFor[encoding.TextMarshaler]()
)

func attributes(v reflect.Value, prefix string) []slog.Attr {
	var attrs []slog.Attr
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		switch {
		case !field.IsExported(), name == "-":
		case name != "":
			attrs = append(attrs, slog.String(prefix+name, printable(field, value)))
		case value.Kind() == reflect.Struct:
			attrs = append(attrs, attributes(value, prefix+field.Tag.Get("envPrefix"))...)
		}
	}
	return attrs
}

func printable(field reflect.StructField, value reflect.Value) string {
	hidden := field.Tag.Get("secret") == "true" || field.Type == secretType
	switch {
	case hidden && value.IsZero():
		return ""
	case hidden:
		return mask
	case field.Type == durationType, field.Type.Implements(textType):
		return fmt.Sprint(value.Interface())
	case value.Kind() == reflect.String:
		return maskURL(value.String())
	case value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.String:
		parts := make([]string, value.Len())
		for i := range parts {
			parts[i] = maskURL(value.Index(i).String())
		}
		return strings.Join(parts, ",")
	default:
		return fmt.Sprint(value.Interface())
	}
}

// maskURL hides a password in a URL, and a whole text that looks like a URL with one and cannot be read as such. So it
// does with PostgreSQL's other way to say where a database is: "host=db password=secret".
func maskURL(text string) string {
	if !strings.Contains(text, "://") {
		if strings.Contains(strings.ToLower(text), "password") {
			return mask
		}
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		if strings.Contains(text, "@") {
			return mask
		}
		return text
	}
	query := u.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") {
			query.Set(name, mask)
			u.RawQuery = query.Encode()
		}
	}
	return u.Redacted()
}
