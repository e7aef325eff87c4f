package rig

import (
	"bytes"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/web"
)

// Decode reads a body into dst as a route does, for fuzz targets of what comes after.
func Decode(body []byte, dst any) error {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	return web.Decode(echo.New().NewContext(r, httptest.NewRecorder()), dst)
}
