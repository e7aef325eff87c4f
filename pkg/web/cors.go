package web

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, Accept, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, X-Request-Id, traceparent, tracestate"
	corsExpose  = "Location, ETag, Retry-After, X-Request-Id, Idempotency-Replayed, Preference-Applied, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
)

// cors answers browsers. The origin is echoed only if it is on the list; credentials (cookies) are never allowed, as
// callers authenticate by a header that a foreign page does not have. Vary is set even for an origin that is refused:
// a cache must not serve one origin's answer to another.
func cors(origins []string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if len(origins) == 0 {
			return next
		}
		return func(c echo.Context) error {
			r, h := c.Request(), c.Response().Header()
			h.Add(echo.HeaderVary, echo.HeaderOrigin)
			origin := r.Header.Get(echo.HeaderOrigin)
			if origin == "" {
				return next(c)
			}
			allowed := originAllowed(origins, origin)
			if allowed {
				h.Set(echo.HeaderAccessControlAllowOrigin, origin)
				h.Set(echo.HeaderAccessControlExposeHeaders, corsExpose)
			}
			if r.Method != http.MethodOptions || r.Header.Get(echo.HeaderAccessControlRequestMethod) == "" {
				return next(c)
			}
			if allowed {
				h.Set(echo.HeaderAccessControlAllowMethods, corsMethods)
				h.Set(echo.HeaderAccessControlAllowHeaders, corsHeaders)
				h.Set(echo.HeaderAccessControlMaxAge, "600")
			}
			return c.NoContent(http.StatusNoContent)
		}
	}
}

// originAllowed compares whole strings: a prefix match would let https://shop.example.evil.test in. Of ":*" the rest
// must be digits for the same reason.
func originAllowed(origins []string, origin string) bool {
	for _, allowed := range origins {
		if allowed == origin {
			return true
		}
		base, anyPort := strings.CutSuffix(allowed, ":*")
		if !anyPort {
			continue
		}
		port, ok := strings.CutPrefix(origin, base)
		if ok && (port == "" || (port[0] == ':' && len(port) > 1 && len(port) <= 6 && strings.Trim(port[1:], "0123456789") == "")) {
			return true
		}
	}
	return false
}
