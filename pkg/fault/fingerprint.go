package fault

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Fingerprint groups failures that have one cause: 12 hex digits, the same for the same kind of error at the same
// place, whatever order, amount or key it was about. Groups, alerts and the console count by it. nil gives "".
func Fingerprint(err error) string {
	if err == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(shape(err)))
	return hex.EncodeToString(sum[:6])
}

// shape is the text that is hashed: what kind of error and where, never about whom.
func shape(err error) string {
	var decode *DecodeError
	var panicked *PanicError
	var refusal *Refusal
	switch {
	case errors.As(err, &decode):
		return "decode|" + decode.Type + "|" + decode.Reason
	case errors.As(err, &panicked):
		return fmt.Sprintf("panic|%s|%T|%s|%s", panicked.Where, panicked.Value, normalize(fmt.Sprint(panicked.Value)), panicSite(panicked.Stack))
	case errors.As(err, &refusal):
		return "refusal|" + refusal.Code
	}
	if state := SQLState(err); state != "" {
		return "sql|" + state + "|" + constraint(err)
	}
	return fmt.Sprintf("%T|%s", root(err), normalize(err.Error()))
}

// constraint names the violated rule: two CHECKs of one table share a SQLSTATE and are two causes. The driver's error
// has it as a field, not as a method, so it is read by reflection rather than by importing the driver here.
func constraint(err error) string {
	var e interface{ SQLState() string }
	if !errors.As(err, &e) {
		return ""
	}
	v := reflect.Indirect(reflect.ValueOf(e))
	if v.Kind() != reflect.Struct {
		return ""
	}
	name := v.FieldByName("ConstraintName")
	if !name.IsValid() || name.Kind() != reflect.String {
		return ""
	}
	return name.String()
}

func root(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// panicSite is the function that panicked: the first frame below runtime.gopanic that is not the runtime's (a nil
// dereference has runtime.sigpanic in between). Line numbers stay out: a release that moves a line is not a new cause.
func panicSite(stack []byte) string {
	panicking := false
	for line := range strings.Lines(string(stack)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "panic("):
			panicking = true
		case !panicking, strings.HasPrefix(line, "/"), strings.HasPrefix(line, "runtime."), strings.HasPrefix(line, "runtime/"), line == "":
		default:
			if i := strings.LastIndexByte(line, '('); i > 0 {
				return line[:i]
			}
			return line
		}
	}
	return ""
}

// variable matches what changes from order to order: quoted values, uuids, and words with a digit in them.
var variable = regexp.MustCompile(`"[^"]*"|'[^']*'|[\w.\-/:]*\d[\w.\-/:]*`)

func normalize(text string) string {
	const longest = 300
	text = variable.ReplaceAllString(text, "?")
	if len(text) > longest {
		text = text[:longest]
	}
	return text
}
