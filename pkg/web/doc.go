// Package web is the HTTP edge that all services share: it decides how a request comes in (limits, identity, strict
// JSON, tracing) and how an answer goes out (problem+json, headers, streams). No service repeats any of it.
//
// Only this package, files named http.go and generated files import echo: version 4 is near its end of life, and the
// move to the next must stay one small change.
package web
