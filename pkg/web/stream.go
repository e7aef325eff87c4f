package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// HeartbeatInterval is how often a quiet stream should send a heartbeat: below the idle timeouts of usual proxies.
const HeartbeatInterval = 15 * time.Second

// writeWindow is how long one event may take to leave; a client that does not read longer than that is cut off. The
// server's own write timeout counts from the request and would end every stream, so each event gets a new deadline.
const writeWindow = 20 * time.Second

// EventStream writes server-sent events. It is for one goroutine.
type EventStream struct {
	c          echo.Context
	controller *http.ResponseController
}

// Stream begins an answer of text/event-stream and sends its headers at once. From here on errors cannot be answered
// any more, so a handler that fails just returns.
func Stream(c echo.Context) (*EventStream, error) {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("Cache-Control", "no-store")
	// Proxies of the nginx family buffer answers unless told otherwise.
	h.Set("X-Accel-Buffering", "no")
	s := &EventStream{c: c, controller: http.NewResponseController(c.Response().Writer)}
	c.Response().WriteHeader(http.StatusOK)
	return s, s.Heartbeat()
}

// WantsStream tells whether the caller asked for text/event-stream.
func WantsStream(c echo.Context) bool {
	for _, header := range c.Request().Header.Values(echo.HeaderAccept) {
		for part := range strings.SplitSeq(header, ",") {
			part, _, _ = strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(part), "text/event-stream") {
				return true
			}
		}
	}
	return false
}

// LastEventID is the id of the last event that a reconnecting client has seen, or "".
func LastEventID(c echo.Context) string {
	id := c.Request().Header.Get("Last-Event-ID")
	if len(id) > 255 {
		return ""
	}
	return id
}

// Send writes one event with data as JSON and flushes it. An empty id or type is left out.
func (s *EventStream) Send(id, typ string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode event of the stream: %w", err)
	}
	var text strings.Builder
	if id != "" {
		text.WriteString("id: " + oneLine(id) + "\n")
	}
	if typ != "" {
		text.WriteString("event: " + oneLine(typ) + "\n")
	}
	// JSON escapes line breaks, so the data is one line whatever is in it.
	text.WriteString("data: ")
	text.Write(body)
	text.WriteString("\n\n")
	return s.write(text.String())
}

// Heartbeat writes a comment: it keeps proxies from closing a quiet stream and finds out that the client is gone.
func (s *EventStream) Heartbeat() error {
	return s.write(": heartbeat\n\n")
}

// Done is closed when the client has gone.
func (s *EventStream) Done() <-chan struct{} { return s.c.Request().Context().Done() }

// Draining is closed when the server shuts down: end the stream, the client comes back with Last-Event-ID.
func (s *EventStream) Draining() <-chan struct{} { return Draining(s.c.Request().Context()) }

func (s *EventStream) write(text string) error {
	// A recorder of a test has no deadlines; a connection always has.
	_ = s.controller.SetWriteDeadline(time.Now().Add(writeWindow))
	if _, err := s.c.Response().Write([]byte(text)); err != nil {
		return fmt.Errorf("write to the stream: %w", err)
	}
	if err := s.controller.Flush(); err != nil {
		return fmt.Errorf("flush the stream: %w", err)
	}
	return nil
}

func oneLine(text string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", "\x00", " ").Replace(text)
}
