package service_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/mailer/service"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const members = `[
	{"memberId": "kim", "name": "김철수", "email": "kim@shop.example", "language": "ko-KR"},
	{"memberId": "lee", "name": "Lee", "email": "lee@shop.example", "language": "en"},
	{"memberId": "gone", "name": "Gone", "email": "bounce@shop.example", "language": "en"},
	{"memberId": "evil", "name": "Eve\r\nBcc: thief@shop.example\r\n\r\n<b>", "email": "eve@shop.example", "language": "en\r\nX-Evil: 1"},
	{"memberId": "grey", "name": "Grey", "email": "greylist@shop.example", "language": "en"}
]`

// system is a mailer, once it is started, and the mail server it sends to.
type system struct {
	*rig.Rig
	env   map[string]string
	inbox *inbox.Server
	mails string // URL of the inbox
}

func prepare(t *testing.T) *system { return prepareWith(t, inbox.Config{}) }

// prepareWith takes what the mail server asks of those who send.
func prepareWith(t *testing.T, server inbox.Config) *system {
	t.Helper()
	r := &system{Rig: rig.New(t, "", "order.v1", "payment.v1", "shipping.v1", "member.v1")}
	r.Members(members)
	r.env = map[string]string{
		"DATABASE_URL": testkit.Database(t),
		"SMTP_ADDR":    r.openInbox(server), "MAIL_FROM": "Shop <shop@shop.example>",
		"SHOP_URL": "https://shop.example",
	}
	return r
}

// openInbox starts the mail server and returns its address.
func (r *system) openInbox(cfg inbox.Config) string {
	r.T.Helper()
	var err error
	cfg.Dir = filepath.Join(r.T.TempDir(), "inbox")
	if r.inbox, err = inbox.New(cfg); err != nil {
		r.T.Fatal(err)
	}
	l := rig.Listen(r.T, "")
	go r.inbox.ServeSMTP(l) //nolint:errcheck // ends with Close
	pages := httptest.NewServer(r.inbox.Handler())
	r.mails = pages.URL
	r.T.Cleanup(func() {
		if err := r.inbox.Close(); err != nil {
			r.T.Errorf("close the inbox: %v", err)
		}
		pages.Close()
	})
	return l.Addr().String()
}

// start runs the service until stop is called or the test ends, and returns when it is ready.
func (r *system) start() (stop func()) {
	r.T.Helper()
	var cfg service.Config
	r.Configure(&cfg, &cfg.Config, r.env)
	stop = r.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
	r.CaughtUp()
	return stop
}

// publish puts events on their topics, as the other services would; copies says how often each.
func (r *system) publish(orderID string, copies int, events ...proto.Message) {
	r.T.Helper()
	for _, m := range events {
		e := rig.NewEvent(orderID, m)
		for range copies {
			r.Send(e)
		}
	}
}

func (r *system) operator() string { return r.Token("op", web.RoleOperator) }

// state is what the service says of its mails about an order, by kind.
func (r *system) states(orderID string) (map[string]mailState, error) {
	a := r.Call(r.operator(), "GET", "/internal/v1/mails/"+url.PathEscape(orderID), "")
	if a.Status != 200 {
		return nil, errors.New(a.String())
	}
	var list struct{ Data []mailState }
	a.Decode(r.T, &list)
	byKind := map[string]mailState{}
	for _, m := range list.Data {
		byKind[m.Kind] = m
	}
	return byKind, nil
}

type mailState struct {
	Kind, State, Code, LastError string
	Attempts                     int
}

// await waits until every kind of mail about the order is in its state.
func (r *system) await(orderID string, want map[string]string) {
	r.T.Helper()
	testkit.Eventually(r.T, rig.Patience, func() error {
		got, err := r.states(orderID)
		if err != nil {
			return err
		}
		for kind, state := range want {
			if got[kind].State != state {
				return fmt.Errorf("%s: %+v, want %v", orderID, got, want)
			}
		}
		if len(got) != len(want) {
			return fmt.Errorf("%s: %+v, want %v", orderID, got, want)
		}
		return nil
	})
}

// received is what the mail server took for an address, or for all.
func (r *system) received(to string) []inbox.Message {
	r.T.Helper()
	var list struct{ Data []inbox.Message }
	r.CallAt(r.mails, "", "GET", "/messages?limit=1000&to="+url.QueryEscape(to), "").Decode(r.T, &list)
	return list.Data
}
