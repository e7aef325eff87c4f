package rig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Answer is what a request was answered. Body is what Text says where it is a JSON object.
type Answer struct {
	Request *http.Request
	Status  int
	Header  http.Header
	Text    string
	Body    map[string]any
}

// String is for the message of a failing test.
func (a Answer) String() string { return fmt.Sprint(a.Status, " ", a.Text) }

// Field is a field of the body as text; "" where it is absent or null.
func (a Answer) Field(name string) string {
	if a.Body[name] == nil {
		return ""
	}
	return fmt.Sprint(a.Body[name])
}

// Code is the code of a problem.
func (a Answer) Code() string { return a.Field("code") }

// Pointer is where the first fault of a problem is; "" where it names none.
func (a Answer) Pointer() string {
	faults, _ := a.Body["errors"].([]any)
	if len(faults) == 0 {
		return ""
	}
	first, _ := faults[0].(map[string]any)
	pointer, _ := first["pointer"].(string)
	return pointer
}

// Data are the elements of a list.
func (a Answer) Data() (elements []map[string]any) {
	all, _ := a.Body["data"].([]any)
	for _, one := range all {
		element, _ := one.(map[string]any)
		elements = append(elements, element)
	}
	return elements
}

// More says whether a list goes on. Every list says either: one that does not goes on, so that a test of its end fails.
func (a Answer) More() bool {
	more, is := a.Body["hasMore"].(bool)
	return more || !is
}

// Decode reads the body into a value of its own type.
func (a Answer) Decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Text), into); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
}

// Request makes one to the service that was served last; headers are pairs of name and value. An empty token sends none.
func (r *Rig) Request(token, method, path, body string, headers ...string) *http.Request {
	r.T.Helper()
	return r.requestTo(r.URL, token, method, path, body, headers...)
}

func (r *Rig) requestTo(url, token, method, path, body string, headers ...string) *http.Request {
	r.T.Helper()
	request, err := http.NewRequestWithContext(r.T.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		r.T.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	return request
}

// Call sends a Request and reads the answer. It may be called by several goroutines of a test at once.
func (r *Rig) Call(token, method, path, body string, headers ...string) Answer {
	r.T.Helper()
	return r.CallAt(r.URL, token, method, path, body, headers...)
}

// client shows redirects instead of following them.
var client = &http.Client{
	Timeout:       time.Minute,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// CallAt is Call to another URL than the Rig's.
func (r *Rig) CallAt(url, token, method, path, body string, headers ...string) Answer {
	r.T.Helper()
	request := r.requestTo(url, token, method, path, body, headers...)
	response, err := client.Do(request)
	if err != nil {
		r.T.Error(err) // not Fatal: also called by other goroutines
		return Answer{Request: request}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.T.Errorf("%s %s: read the answer: %v", method, path, err)
	}
	a := Answer{Request: request, Status: response.StatusCode, Header: response.Header, Text: string(text)}
	if len(text) > 0 && strings.HasSuffix(mediaType(response.Header), "json") && !bytes.HasPrefix(text, []byte("[")) {
		if err := json.Unmarshal(text, &a.Body); err != nil {
			r.T.Errorf("%s %s: the answer is not JSON: %v", method, path, err)
		}
	}
	return a
}

func mediaType(h http.Header) string {
	name, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.TrimSpace(name)
}
