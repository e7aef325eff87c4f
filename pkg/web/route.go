package web

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
)

// unmatched is the route label of requests to paths nobody serves: a raw path would let anybody grow the metrics.
const unmatched = "unmatched"

// routes knows which method and pattern are really served. echo's own answer is not enough: a group with middleware
// registers a catch-all "not found" route, which wins over 405 and gives an unknown path a pattern.
type routes struct {
	echo *echo.Echo
	once sync.Once
	set  map[string]struct{}
}

// pattern returns the route's pattern, or [unmatched]. Routes must be complete before the first request.
func (r *routes) pattern(method, path string) string {
	if r.has(method, path) {
		return path
	}
	return unmatched
}

func (r *routes) has(method, path string) bool {
	r.once.Do(func() {
		r.set = map[string]struct{}{}
		for _, route := range r.echo.Routes() {
			if route.Method != echo.RouteNotFound {
				r.set[route.Method+" "+route.Path] = struct{}{}
			}
		}
	})
	_, ok := r.set[method+" "+path]
	return ok
}

// allowed returns the Allow header of a path that is served with other methods only, or "".
func (r *routes) allowed(c echo.Context) string {
	if r.has(c.Request().Method, c.Path()) {
		return ""
	}
	var methods []string
	probe := r.echo.AcquireContext()
	defer r.echo.ReleaseContext(probe)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe.Reset(c.Request(), c.Response().Writer)
		r.echo.Router().Find(method, echo.GetPath(c.Request()), probe)
		if r.has(method, probe.Path()) {
			methods = append(methods, method)
		}
	}
	if len(methods) > 0 && !slices.Contains(methods, http.MethodOptions) {
		methods = append(methods, http.MethodOptions)
	}
	return strings.Join(methods, ", ")
}
