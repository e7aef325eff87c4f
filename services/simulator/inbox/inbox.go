// Package inbox is a mail server to develop and test against: it takes every
// mail over SMTP, keeps it and shows it over HTTP. It delivers nothing.
//
//	GET  /?to&order           the mails as a page; /mails/{id} one of them: as HTML, as text, its source
//	GET  /preview/            the shop's templates with made-up data, see Config.Previews
//	GET  /messages?to&limit   newest first: {"data":[Message...],"hasMore":bool}
//	GET  /messages/{id}       one Message
//	GET|POST /faults          down (connections are closed), tempfail (451),
//	                          permfail (554), none
//
// Recipients whose address begins with "bounce" are refused for good (550), those with "greylist" the first time
// (451).
package inbox

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/quadrille-io/quadrille/services/simulator/outage"
)

// Config of a Server.
type Config struct {
	// Dir holds the journal; one server at a time.
	Dir string
	// Keep is how many mails are kept, the newest; default 10,000.
	Keep int
	// TLS, if set, offers STARTTLS.
	TLS *tls.Config
	// Username and Password, if set, are asked for before a mail is taken (over
	// TLS only, if TLS is set).
	Username, Password string
	// Previews of what the shop writes, shown under /preview/; this package knows none.
	Previews []Preview
	// Mechanisms to ask for them by; default PLAIN and LOGIN.
	Mechanisms []string
}

// Server is the inbox: ServeSMTP takes mails, Handler shows them.
type Server struct {
	box      *box
	smtp     *smtp.Server
	faults   *outage.Switch
	previews []Preview

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	greeted   map[string]bool // recipients that were greylisted once
}

// New opens the mails in cfg.Dir.
func New(cfg Config) (*Server, error) {
	if cfg.Keep == 0 {
		cfg.Keep = 10_000
	}
	if cfg.Mechanisms == nil {
		cfg.Mechanisms = []string{sasl.Plain, sasl.Login}
	}
	b, err := openBox(cfg.Dir, cfg.Keep)
	if err != nil {
		return nil, err
	}
	s := &Server{box: b, previews: cfg.Previews, greeted: map[string]bool{}, faults: outage.New(nil, outage.Down, outage.TempFail, outage.PermFail)}
	s.smtp = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c, cfg: cfg, known: cfg.Username == ""}, nil
	}))
	s.smtp.Domain = "inbox.localhost"
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = time.Minute, time.Minute
	s.smtp.MaxMessageBytes, s.smtp.MaxRecipients = 1<<20, 50
	s.smtp.TLSConfig = cfg.TLS
	s.smtp.AllowInsecureAuth = cfg.TLS == nil
	s.smtp.EnableSMTPUTF8 = true
	// Broken connections and clients that dislike our certificate: theirs to tell.
	s.smtp.ErrorLog = slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug)
	return s, nil
}

// ServeSMTP takes mails from l until Close.
//
// The listener is closed by our own Close as well: the library knows it only
// once its Serve runs, so a Close that came between would leave Serve waiting
// for ever.
func (s *Server) ServeSMTP(l net.Listener) error {
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return l.Close()
	}
	if err := s.smtp.Serve(&gate{Listener: l, faults: s.faults}); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
		return fmt.Errorf("serve SMTP: %w", err)
	}
	return nil
}

// Close ends the SMTP connections and closes the journal.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	err := s.smtp.Close()
	if errors.Is(err, smtp.ErrServerClosed) {
		err = nil
	}
	for _, l := range s.listeners {
		_ = l.Close() // most often closed already by the line above
	}
	return errors.Join(err, s.box.journal.Close())
}

// Faults is the switch behind /faults.
func (s *Server) Faults() *outage.Switch { return s.faults }

// strange says of a recipient that nobody has written to it before.
func (s *Server) strange(to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	strange := !s.greeted[to]
	s.greeted[to] = true
	return strange
}

// gate is the listener that hangs up on everybody while the fault is down.
type gate struct {
	net.Listener
	faults *outage.Switch
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil || g.faults.Fault().Mode != outage.Down || g.faults.Meet().Mode != outage.Down {
			return conn, err
		}
		_ = conn.Close()
	}
}

// Handler serves the calls of the package's description.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.getPage)
	mux.HandleFunc("GET /mails/{id}", s.getMailPage)
	mux.HandleFunc("GET /mails/{id}/html", s.getMailHTML)
	mux.HandleFunc("GET /mails/{id}/source", s.getMailSource)
	mux.HandleFunc("GET /preview/{$}", s.listPreviews)
	mux.HandleFunc("GET /preview/{language}/{name}", s.getPreview)
	mux.HandleFunc("GET /preview/{language}/{name}/html", s.getPreviewHTML)
	mux.HandleFunc("GET /style.css", s.getStyle)
	mux.HandleFunc("GET /messages", s.listMessages)
	mux.HandleFunc("GET /messages/{id}", s.getMessage)
	mux.Handle("/faults", s.faults)
	return mux
}
