package inbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// maxDepth bounds parts within parts.
const maxDepth = 5

// parse reads a mail as it came over the wire. Attachments are left out.
func parse(raw []byte) (*Message, error) {
	in, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read mail header: %w", err)
	}
	m := &Message{Headers: map[string][]string{}}
	var words mime.WordDecoder
	for name, values := range in.Header {
		for _, v := range values {
			if decoded, err := words.DecodeHeader(v); err == nil {
				v = decoded
			}
			m.Headers[name] = append(m.Headers[name], v)
		}
	}
	m.Subject = first(m.Headers["Subject"])
	m.From = first(m.Headers["From"])
	err = m.body(in.Header.Get("Content-Type"), in.Header.Get("Content-Transfer-Encoding"), in.Body, 0)
	return m, err
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// body takes the first plain text and the first HTML of a part and its parts.
func (m *Message) body(contentType, encoding string, r io.Reader, depth int) error {
	if contentType == "" {
		contentType = "text/plain" // RFC 2045, 5.2
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || depth > maxDepth {
		return fmt.Errorf("read content type at depth %d: %w", depth, err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		return m.parts(multipart.NewReader(r, params["boundary"]), depth)
	}
	target := &m.Text
	switch kind {
	case "text/plain":
	case "text/html":
		target = &m.HTML
	default:
		return nil
	}
	if *target != "" {
		return nil
	}
	content, err := io.ReadAll(decode(encoding, r))
	if err != nil {
		return fmt.Errorf("decode %s: %w", kind, err)
	}
	*target = strings.ReplaceAll(string(content), "\r\n", "\n")
	return nil
}

func (m *Message) parts(r *multipart.Reader, depth int) error {
	for {
		part, err := r.NextRawPart() // raw: the encoding is ours to undo
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read part: %w", err)
		}
		if part.FileName() != "" {
			continue
		}
		err = m.body(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part, depth+1)
		if err != nil {
			return err
		}
	}
}

func decode(encoding string, r io.Reader) io.Reader {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, r)
	default:
		return r
	}
}
