package service_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/member/service"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// seeded is what MEMBERS_FILE holds; their password is devPassword.
const (
	seeded = `[
		{"memberId":"kim","name":"Kim","email":"Kim@shop.example","language":"ko","addresses":[
			{"addressId":"k1","name":"Kim","line1":"1 Example-ro","city":"Seoul","postalCode":"04524","country":"KR","default":true}]},
		{"memberId":"lee"}
	]`
	devPassword = "correct horse"
)

// system is the member service as it runs; it signs sessions itself.
type system struct {
	*rig.Rig
	cfg    service.Config
	issuer *web.Issuer
	stop   func()
}

// start starts it. more is added to its environment.
func start(t *testing.T, more map[string]string) *system {
	t.Helper()
	s := &system{Rig: rig.New(t, "member.v1")}
	key := filepath.Join(t.TempDir(), "session.key")
	var err error
	if s.issuer, err = web.LoadOrCreateIssuer(key, "sessions", "shop"); err != nil {
		t.Fatal(err)
	}
	environ := map[string]string{
		"JWT_ISSUERS": "sessions", "JWT_AUDIENCES": "shop", "JWT_JWKS": string(s.issuer.JWKS()),
		"SESSION_KEY_FILE": key, "SESSION_ISSUER": "sessions", "SESSION_AUDIENCE": "shop", "HASH_PATIENCE": "30s",
		"MEMBERS_FILE": s.MembersFile(seeded), "SEED_PASSWORD": devPassword,
		"DATABASE_URL": testkit.Database(t),
	}
	for name, value := range more {
		environ[name] = value
	}
	s.Configure(&s.cfg, &s.cfg.Config, environ)
	s.serve()
	return s
}

func (s *system) serve() {
	s.T.Helper()
	cfg := s.cfg
	s.stop = s.Serve(&cfg.Config, func(ctx context.Context) error { return service.Run(ctx, cfg) })
}

// token is one for the subject, as the service signs them.
func (s *system) token(subject string, roles ...string) string {
	s.T.Helper()
	token, err := s.issuer.Token(subject, roles, 3600e9)
	if err != nil {
		s.T.Fatal(err)
	}
	return token
}

func (s *system) expect(status int, token, method, path, body string, headers ...string) rig.Answer {
	s.T.Helper()
	a := s.Call(token, method, path, body, headers...)
	if a.Status != status {
		s.T.Fatalf("%s %s: %s, want %d", method, path, a, status)
	}
	return a
}

// signUp registers a member and signs it in.
func (s *system) signUp(email string) (memberID, token string) {
	s.T.Helper()
	s.expect(http.StatusCreated, "", http.MethodPost, "/api/v1/members", fmt.Sprintf(`{"email":%q,"password":"a long password","name":"New"}`, email))
	a := s.expect(http.StatusOK, "", http.MethodPost, "/api/v1/sessions", fmt.Sprintf(`{"email":%q,"password":"a long password"}`, email))
	var session struct {
		AccessToken string `json:"accessToken"`
		Member      struct {
			MemberID string `json:"memberId"`
		} `json:"member"`
	}
	a.Decode(s.T, &session)
	return session.Member.MemberID, session.AccessToken
}

// last waits for the n-th event of a member and returns it.
func (s *system) last(memberID string, n int) *memberv1.MemberChanged {
	s.T.Helper()
	events := s.Await(n, rig.About(memberID))
	if len(events) != n {
		s.T.Fatalf("%d events of %s, want %d", len(events), memberID, n)
	}
	return changed(events[n-1])
}

const address = `{"name":"Kim","phone":"+82-2-0000-0000","line1":"2 Example-ro","city":"Busan","postalCode":"48058","country":"KR"%s}`

func changed(e rig.Event) *memberv1.MemberChanged { return e.Message.(*memberv1.MemberChanged) }
