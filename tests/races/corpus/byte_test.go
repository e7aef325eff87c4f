package corpus_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// raw sends bytes and reads one answer.
func (w town) raw(t *testing.T, service, text string) (rest.Response, error) {
	conn, err := w.dial(t, service)
	if err != nil {
		return rest.Response{}, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return rest.Response{}, err
	}
	return readAnswer(bufio.NewReader(conn))
}

// dial opens a connection to a service's port that no read waits on for ever.
func (w town) dial(t *testing.T, service string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.URL(service), "http://"))
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

func readAnswer(r *bufio.Reader) (rest.Response, error) {
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return rest.Response{}, fmt.Errorf("read the answer: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return rest.Response{}, fmt.Errorf("read the answer's body: %w", err)
	}
	return rest.Response{Status: res.StatusCode, Header: res.Header, Body: text}, nil
}

// strangeBytes sends what is no proper HTTP, or two requests where one stands: each is refused, and the second, which
// would be somebody else's answer at a proxy, is never answered.
func strangeBytes(t *testing.T, w town) {
	token := w.client(t, local.Operator, web.RoleOperator).Token
	const second = "GET /smuggled HTTP/1.1\r\nHost: shop\r\n\r\n"
	order := "POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\n"
	for name, text := range map[string]string{
		"two lengths":                  order + "Content-Length: 2\r\nContent-Length: 45\r\n\r\n{}" + second,
		"length and chunks":            order + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
		"chunks and identity":          order + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + second,
		"chunks written strangely":     order + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + second,
		"chunks behind a tab":          order + "Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + second,
		"chunk of no size":             order + "Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n" + second,
		"chunk of a negative size":     order + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + second,
		"chunk beyond all sizes":       order + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}" + second,
		"length with a plus":           order + "Content-Length: +2\r\n\r\n{}" + second,
		"negative length":              order + "Content-Length: -1\r\n\r\n" + second,
		"length of no number":          order + "Content-Length: 2a\r\n\r\n{}" + second,
		"length beyond all numbers":    order + "Content-Length: 99999999999999999999\r\n\r\n{}" + second,
		"a huge length":                order + "Content-Length: 99999999999\r\n\r\n{}" + second,
		"space before the colon":       order + "Content-Length : 2\r\n\r\n{}" + second,
		"a folded header":              order + "X-A: 1\r\n 2\r\nContent-Length: 2 3\r\n\r\n{}" + second,
		"a NUL in a header":            order + "X-A: \x00\r\nContent-Length: 2\r\n\r\n{}" + second,
		"a header without a colon":     order + "rubbish\r\nContent-Length: 2\r\n\r\n{}" + second,
		"no host":                      "GET /api/v1/orders HTTP/1.1\r\n\r\n" + second,
		"two hosts":                    "GET /api/v1/orders HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + second,
		"a method of rubbish":          "G@T / HTTP/1.1\r\nHost: shop\r\n\r\n" + second,
		"another protocol":             "GET / SPDY/3\r\nHost: shop\r\n\r\n" + second,
		"no protocol":                  "GET /\r\n\r\n" + second,
		"many headers":                 order + strings.Repeat("X-A: 1\r\n", 6000) + "Content-Length: 2\r\n\r\n{}" + second,
		"one long header":              order + "X-A: " + strings.Repeat("a", 40_000) + "\r\nContent-Length: 2\r\n\r\n{}" + second,
		"a long name":                  order + strings.Repeat("a", 40_000) + ": 1\r\nContent-Length: 2\r\n\r\n{}" + second,
		"a long path":                  "GET /" + strings.Repeat("a", 40_000) + " HTTP/1.1\r\nHost: shop\r\n\r\n" + second,
		"an upgrade that is not meant": "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: x\r\n\r\n" + second,
	} {
		for _, service := range []string{"gateway", "order"} {
			w.smuggle(t, service+": "+name, service, text)
		}
	}
}

// smuggle sends the bytes and reads every answer: one that refuses, and none for what stands behind. Of a length beside
// chunks net/http drops the length, as RFC 9112 6.1 allows: then what stands behind is a request of the sender's own.
func (w town) smuggle(t *testing.T, what, service, text string) {
	t.Helper()
	conn, err := w.dial(t, service)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(conn, text) // the server may have hung up in the middle: the answer says so
	}()
	answers := bufio.NewReader(conn)
	got, err := readAnswer(answers)
	if err != nil && !strings.Contains(err.Error(), "connection reset") {
		t.Errorf("%s: %v", what, err)
	}
	if err == nil && (got.Status < 400 || got.Status >= 500 && got.Status != http.StatusNotImplemented && got.Status != http.StatusHTTPVersionNotSupported) {
		t.Errorf("%s: answered %d %s", what, got.Status, got.Body)
	}
	byChunks := strings.Contains(text, "Content-Length") && strings.Contains(text, "chunked\r\n")
	if next, err := readAnswer(answers); err == nil && (!byChunks || next.Status != http.StatusNotFound) {
		t.Errorf("%s: the request behind it is answered too: %d %s", what, next.Status, next.Body)
	}
	<-written
}
