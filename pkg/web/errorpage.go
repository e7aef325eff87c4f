package web

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

var errorPage = template.Must(template.New("errors").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Errors</title><meta name="viewport" content="width=device-width">
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}dt{font-weight:bold;margin-top:1rem}:target{background:#ffd}</style>
</head><body><h1>Errors</h1>
<p>Every error is application/problem+json (RFC 9457); its <code>code</code> is one of these and does not change.</p>
<dl>{{range .}}<dt id="{{.Name}}"><code>{{.Name}}</code> · {{.Status}} {{.Title}}</dt><dd>{{.Meaning}}{{if .Retryable}} May be sent again.{{end}}</dd>
{{end}}</dl></body></html>
`))

// ErrorPage serves what every problem's type links to: all codes with their meaning. It belongs at /docs/errors.
func ErrorPage() (echo.HandlerFunc, error) {
	var page bytes.Buffer
	if err := errorPage.Execute(&page, fault.Codes()); err != nil {
		return nil, fmt.Errorf("draw the page of errors: %w", err)
	}
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Cache-Control", "public, max-age=3600")
		return c.HTMLBlob(http.StatusOK, page.Bytes())
	}, nil
}
