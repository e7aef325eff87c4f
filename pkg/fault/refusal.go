package fault

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// FieldError says what is wrong with one field of a request.
type FieldError struct {
	// Pointer is a JSON Pointer (RFC 6901) into the request body, "/items/0/quantity"; "" is the whole body.
	Pointer string `json:"pointer"`
	// Code is one of [Codes].
	Code string `json:"code"`
	// Detail is a sentence for a person. It never repeats a value that could be personal.
	Detail string `json:"detail"`
}

// Refusal is a business or protocol "no". It is answered to the caller as RFC 9457 problem+json and is never retried
// by the machinery. Its JSON form is what a stored command answer keeps, so it survives a restart unchanged.
type Refusal struct {
	// Status is the HTTP status, 400 to 599.
	Status int `json:"status"`
	// Code is stable, snake_case and one of [Codes].
	Code string `json:"code"`
	// Title is the short meaning of Code, the same for every occurrence.
	Title string `json:"title"`
	// Detail is about this occurrence, for a person.
	Detail string `json:"detail,omitempty"`
	// Errors lists the fields at fault, if any.
	Errors []FieldError `json:"errors,omitempty"`
	// Retryable tells the caller that the same request may succeed later.
	Retryable bool `json:"retryable"`
	// RetryAfter is how long the caller should wait, in nanoseconds in JSON; 0 says nothing about it.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
}

// Error gives status, code and detail. It is for logs; callers get the fields.
func (r *Refusal) Error() string {
	if r.Detail == "" {
		return fmt.Sprintf("refused with %d %s", r.Status, r.Code)
	}
	return fmt.Sprintf("refused with %d %s: %s", r.Status, r.Code, r.Detail)
}

// Is makes two refusals with the same status and code equal for errors.Is, whatever their details say.
func (r *Refusal) Is(target error) bool {
	var other *Refusal
	return errors.As(target, &other) && r.Status == other.Status && r.Code == other.Code
}

// New returns a refusal with the title and retryability that the registry gives the code. The status is the caller's:
// one code may stand under two statuses (not_found for a page and for an order).
func New(status int, code, detail string, fields ...FieldError) *Refusal {
	entry := lookup(code)
	return &Refusal{
		Status:    status,
		Code:      code,
		Title:     entry.Title,
		Detail:    detail,
		Errors:    fields,
		Retryable: entry.Retryable,
	}
}

// Of returns a refusal with the registry's own status for the code.
func Of(code, detail string, fields ...FieldError) *Refusal {
	return New(lookup(code).Status, code, detail, fields...)
}

// NotFound is 404 not_found. It is also the answer for what belongs to somebody else: a 403 would say that it exists.
func NotFound() *Refusal {
	return New(http.StatusNotFound, CodeNotFound, "")
}

// Conflict is 409: the request is fine, the state of the thing does not allow it.
func Conflict(code, detail string) *Refusal {
	return New(http.StatusConflict, code, detail)
}

// Unprocessable is 422: well-formed, and impossible.
func Unprocessable(code, detail string, fields ...FieldError) *Refusal {
	return New(http.StatusUnprocessableEntity, code, detail, fields...)
}

// Invalid is 400 invalid_field, or the code of the fields if all share one: the body breaks its own rules.
func Invalid(fields ...FieldError) *Refusal {
	code, detail := CodeInvalidField, "The request is not valid."
	for i, field := range fields {
		if i == 0 {
			code, detail = field.Code, field.Detail
			continue
		}
		if field.Code != code {
			code, detail = CodeInvalidField, "Several fields of the request are not valid."
			break
		}
	}
	return New(http.StatusBadRequest, code, detail, fields...)
}

// Forbidden is 403 forbidden: the caller is known and may not do this.
func Forbidden(detail string) *Refusal {
	return New(http.StatusForbidden, CodeForbidden, detail)
}

// Unauthorized is 401 unauthenticated. The detail must not tell which check the token failed: that helps only a forger.
func Unauthorized(detail string) *Refusal {
	return New(http.StatusUnauthorized, CodeUnauthenticated, detail)
}

// Unavailable is 503: nothing is wrong with the request, it may be sent again after retryAfter.
func Unavailable(code, detail string, retryAfter time.Duration) *Refusal {
	r := New(http.StatusServiceUnavailable, code, detail)
	r.Retryable = true
	r.RetryAfter = retryAfter
	return r
}
