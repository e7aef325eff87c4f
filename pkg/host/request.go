package host

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/web"
)

// Request makes of an authenticated request what lets it be sent twice: who sends it, its Idempotency-Key, and a hash
// over what it means, for which body is the decoded one. The command is left to the caller.
func Request(c echo.Context, body any) (engine.Request, error) {
	key, err := web.IdempotencyKey(c)
	if err != nil {
		return engine.Request{}, err
	}
	hash, err := bodyHash(c.Request().Method, c.Request().URL.Path, body)
	if err != nil {
		return engine.Request{}, err
	}
	return engine.Request{Member: web.Caller(c).Subject, Key: key, BodyHash: hash}, nil
}

// bodyHash tells two requests under one key apart by route and meaning: as it is made over the decoded body, spaces,
// the order of fields, and null against absent make no difference.
func bodyHash(method, path string, body any) ([]byte, error) {
	canonical, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("hash the request: %w", err)
	}
	sum := sha256.Sum256([]byte(method + " " + path + "\n" + string(canonical)))
	return sum[:], nil
}

// Command is [Host.Do] for a command that says all that its request's decoded body does: under the caller's own
// Idempotency-Key, if there is one.
func (h *Host[W]) Command(c echo.Context, body any, command flow.Command, location string) error {
	r, err := Request(c, body)
	if err != nil {
		return err
	}
	r.Command = command
	return h.Do(c, r, location)
}
