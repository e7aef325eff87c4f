package rest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// StreamEvent is one server-sent event.
type StreamEvent struct {
	ID   string
	Type string
	Data []byte
}

// Stream opens a stream of server-sent events and calls each for every one until the server ends it,
// each returns an error, or ctx ends. lastID, unless "", is where to go on after; a server that has
// nothing more to say then answers 204, which is the end, too.
func (c Client) Stream(ctx context.Context, path, lastID string, each func(StreamEvent) error) error {
	header := map[string]string{"Accept": "text/event-stream"}
	if lastID != "" {
		header["Last-Event-ID"] = lastID
	}
	res, err := c.open(ctx, Request{Method: http.MethodGet, Path: path, Header: header})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNoContent {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); res.StatusCode != http.StatusOK || err != nil || kind != "text/event-stream" {
		body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
		if err != nil {
			return fmt.Errorf("read the answer to GET %s: %w", path, err)
		}
		return Response{Status: res.StatusCode, Header: res.Header, Body: body}.Problem()
	}
	if err := readEvents(res.Body, each); err != nil {
		return fmt.Errorf("read the stream %s: %w", path, err)
	}
	return nil
}

// errEnough ends a stream from within its callback, without being an error.
var errEnough = errors.New("enough")

// Enough is what a callback of Stream returns to end it.
func Enough() error { return errEnough }

// readEvents parses the format of the HTML standard, as far as servers use it here: id, event, data.
func readEvents(r io.Reader, each func(StreamEvent) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var event StreamEvent
	var data []string
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			if len(data) > 0 {
				event.Data = []byte(strings.Join(data, "\n"))
				if err := each(event); errors.Is(err, errEnough) {
					return nil
				} else if err != nil {
					return err
				}
			}
			event, data = StreamEvent{}, nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			event.ID = value
		case "event":
			event.Type = value
		case "data":
			data = append(data, value)
		default: // a comment, such as a heartbeat, or a field we do not use
		}
	}
	return lines.Err()
}
