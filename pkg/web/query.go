package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

const (
	defaultLimit = 20
	maxLimit     = 100
	maxWait      = 30 * time.Second
)

// List is the shape of every list answer.
type List[T any] struct {
	Data    []T  `json:"data"`
	HasMore bool `json:"hasMore"`
}

// NewList makes a page of rows that were read with limit+1: the one too many tells that there is more. A nil slice
// becomes [], never null.
func NewList[T any](rows []T, limit int) List[T] {
	if rows == nil {
		rows = []T{}
	}
	if len(rows) > limit {
		return List[T]{Data: rows[:limit], HasMore: true}
	}
	return List[T]{Data: rows}
}

// Page is the part of a list that was asked for.
type Page struct {
	// Limit is 1 to 100, 20 if absent.
	Limit int
	// StartingAfter is the id of the last element the caller has; "" starts at the beginning.
	StartingAfter string
}

// PageOf reads ?limit and ?startingAfter; 400 invalid_parameter if they cannot be.
func PageOf(c echo.Context) (Page, error) {
	page := Page{Limit: defaultLimit, StartingAfter: c.QueryParam("startingAfter")}
	if len(page.StartingAfter) > 255 {
		return page, InvalidParameter("startingAfter", "startingAfter is longer than 255 characters.")
	}
	if !c.QueryParams().Has("limit") {
		return page, nil
	}
	limit, err := strconv.Atoi(c.QueryParam("limit"))
	if err != nil || limit < 1 || limit > maxLimit {
		return page, InvalidParameter("limit", "limit must be an integer from 1 to 100.")
	}
	page.Limit = limit
	return page, nil
}

// InvalidParameter is 400 invalid_parameter for a parameter of the query. The detail says what it can be.
func InvalidParameter(name, detail string) error {
	return fault.New(http.StatusBadRequest, fault.CodeInvalidParameter, detail,
		fault.FieldError{Pointer: "?" + name, Code: fault.CodeInvalidParameter, Detail: detail})
}

// PreferWait reads `Prefer: wait=N` (RFC 7240), N in seconds and capped at 30. ok is false if nothing of the kind was
// asked; a preference that cannot be understood is ignored, as the RFC wants it. When it is honoured,
// Preference-Applied is set.
func PreferWait(c echo.Context) (wait time.Duration, ok bool) {
	for _, header := range c.Request().Header.Values("Prefer") {
		for preference := range strings.SplitSeq(header, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil {
				return 0, false
			}
			wait = min(time.Duration(seconds)*time.Second, maxWait)
			c.Response().Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait.Seconds())))
			return wait, true
		}
	}
	return 0, false
}

// JSONWithETag answers 200 with body under a strong ETag made of version, or 304 if the caller already has it. version
// is anything that changes whenever the body does.
func JSONWithETag(c echo.Context, version string, body any) error {
	tag := `"` + strings.Map(tagChar, version) + `"`
	h := c.Response().Header()
	h.Set("Etag", tag)
	h.Set("Cache-Control", "private, no-cache")
	if matches(c.Request().Header.Values("If-None-Match"), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.JSON(http.StatusOK, body)
}

func tagChar(r rune) rune {
	if r <= ' ' || r == '"' || r > '~' {
		return '_'
	}
	return r
}

// matches compares weakly, as RFC 9110 13.1.2 asks of If-None-Match.
func matches(headers []string, tag string) bool {
	for _, header := range headers {
		for candidate := range strings.SplitSeq(header, ",") {
			candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
			if candidate == tag || candidate == "*" {
				return true
			}
		}
	}
	return false
}
