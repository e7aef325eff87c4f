package openapi

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/web"
)

// The page is Swagger UI 5.35.0, as published in the npm package swagger-ui-dist, unchanged; only the files that are
// needed. docs.js starts it without anything that would ask the internet.
//
//go:embed docs.html docs.js swagger-ui/swagger-ui.css swagger-ui/swagger-ui-bundle.js
var files embed.FS

// pagePolicy lets Swagger UI run: it sets styles on elements and draws images from data URLs. Nothing from elsewhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Routes adds /openapi.json, /docs and /docs/errors. The files are part of the program: that they cannot be read is a
// mistake of whoever built it, found at start.
func Routes(e *echo.Echo) {
	document, err := JSON()
	if err != nil {
		panic(err)
	}
	errors, err := web.ErrorPage()
	if err != nil {
		panic(err)
	}
	e.GET("/openapi.json", serve(document, echo.MIMEApplicationJSON))
	e.GET("/docs/errors", errors)
	for route, name := range map[string]string{
		"/docs": "docs.html", "/docs/docs.js": "docs.js",
		"/docs/swagger-ui.css":       "swagger-ui/swagger-ui.css",
		"/docs/swagger-ui-bundle.js": "swagger-ui/swagger-ui-bundle.js",
	} {
		content, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		e.GET(route, serve(content, mime.TypeByExtension(path.Ext(name))))
	}
	e.GET("/docs/", func(c echo.Context) error { return c.Redirect(http.StatusPermanentRedirect, "/docs") })
	e.GET("/docs/*", func(echo.Context) error { return fault.NotFound() })
}

// serve answers with content that does not change while the program runs.
func serve(content []byte, contentType string) echo.HandlerFunc {
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Etag", tag)
		h.Set("Cache-Control", "public, no-cache")
		h.Set("Content-Security-Policy", pagePolicy)
		if c.Request().Header.Get("If-None-Match") == tag {
			return c.NoContent(http.StatusNotModified)
		}
		return c.Blob(http.StatusOK, contentType, content)
	}
}
