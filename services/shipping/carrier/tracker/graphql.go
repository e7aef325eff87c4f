package tracker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/quadrille-io/quadrille/pkg/remote"
	"github.com/quadrille-io/quadrille/services/shipping/carrier"
)

// The codes of errors (ErrorCode in the API's schema).
const (
	codeUnauthenticated = "UNAUTHENTICATED"
	codeForbidden       = "FORBIDDEN"
	codeBadRequest      = "BAD_REQUEST"
	codeNotFound        = "NOT_FOUND"
)

// refusal is an error of the API that is its answer: it had no effect. It is a carrier.ErrRejected.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return fmt.Sprintf("answered %s: %q", r.code, r.message) }

func (r *refusal) Unwrap() error { return carrier.ErrRejected }

// question is the body of a GraphQL request.
type question struct {
	Query     string         `json:"query"`
	Variables map[string]any `json:"variables"`
}

// reply is the body of an answer: errors may come with data and without, under any status.
type reply struct {
	Data   json.RawMessage `json:"data"`
	Errors []struct {
		Message    string `json:"message"`
		Extensions struct {
			Code string `json:"code"`
		} `json:"extensions"`
	} `json:"errors"`
}

// do asks and reads the answer's data into a value. Its errors are those of package carrier.
func (c *Client) do(ctx context.Context, what, query string, variables map[string]any, data any) error {
	if err := c.limit.Wait(ctx); err != nil {
		return fmt.Errorf("%s: %w: wait for a turn: %w", what, carrier.ErrNotSent, err)
	}
	got, err := c.remote.Do(ctx, remote.Call{
		Method: http.MethodPost, Path: "/graphql", Body: question{Query: query, Variables: variables},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	var r reply
	if err := json.Unmarshal(got.Body, &r); err != nil {
		if got.Status >= 300 { // a proxy's page
			return fmt.Errorf("%s: %w: answered %d", what, carrier.ErrRejected, got.Status)
		}
		return fmt.Errorf("%s: %w: decode answer: %w", what, carrier.ErrUnknown, err)
	}
	if err := r.err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if got.Status >= 300 {
		return fmt.Errorf("%s: %w: answered %d", what, carrier.ErrRejected, got.Status)
	}
	if len(r.Data) == 0 || string(r.Data) == "null" {
		return fmt.Errorf("%s: %w: an answer without data", what, carrier.ErrUnknown)
	}
	if err := json.Unmarshal(r.Data, data); err != nil {
		return fmt.Errorf("%s: %w: decode data: %w", what, carrier.ErrUnknown, err)
	}
	return nil
}

// err classifies what the API says went wrong: its first error counts, the others follow from it. INTERNAL, and codes
// that are not known here, leave the outcome open.
func (r reply) err() error {
	if len(r.Errors) == 0 {
		return nil
	}
	code, message := r.Errors[0].Extensions.Code, clip(r.Errors[0].Message)
	switch code {
	case codeForbidden:
		// The quota has no code of its own.
		if text := strings.ToLower(message); strings.Contains(text, "rate limit") || strings.Contains(text, "quota") {
			return fmt.Errorf("%w: %q", ErrLimited, message)
		}
		return &refusal{code, message}
	case codeUnauthenticated, codeBadRequest, codeNotFound:
		return &refusal{code, message}
	}
	return fmt.Errorf("%w: answered %s: %q", carrier.ErrUnknown, clip(code), message)
}

// clip bounds somebody else's words, for errors and logs.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200])
	}
	return s
}
