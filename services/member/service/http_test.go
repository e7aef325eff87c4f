package service_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/services/internal/rig"
)

const (
	members  = "/api/v1/members"
	me       = "/api/v1/members/me"
	books    = "/api/v1/members/me/addresses"
	sessions = "/api/v1/sessions"
)

// A shop's user, from the registration to the end.
func TestLifeOfAMember(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	a := s.expect(201, "", http.MethodPost, members, `{"email":"Park@shop.example","password":"a long password","name":"Park","phone":"02-123-4567"}`)
	if a.Header.Get("Location") != me || a.Field("language") != "en" || a.Field("addresses") != "[]" || strings.Contains(a.Text, "argon2") {
		t.Errorf("registered: %s", a)
	}
	id := a.Field("memberId")
	if e := s.last(id, 1); e.GetEmail() != "Park@shop.example" || e.GetName() != "Park" || e.GetPhone() != "02-123-4567" || e.GetLanguage() != "en" {
		t.Errorf("told %v", e)
	}
	var session struct {
		AccessToken string         `json:"accessToken"`
		ExpiresIn   int            `json:"expiresIn"`
		Member      map[string]any `json:"member"`
	}
	s.expect(200, "", http.MethodPost, sessions, `{"email":"pARK@shop.example","password":"a long password"}`).Decode(t, &session)
	if session.ExpiresIn != 3600 || session.Member["memberId"] != id {
		t.Errorf("session: %+v", session)
	}
	token := session.AccessToken
	if a := s.expect(200, token, http.MethodGet, me, ""); a.Field("memberId") != id || a.Field("email") != "Park@shop.example" {
		t.Errorf("me: %s", a)
	}
	s.expect(200, token, http.MethodPatch, me, `{"name":"P. Park","language":"ko"}`)
	if e := s.last(id, 2); e.GetName() != "P. Park" || e.GetLanguage() != "ko" {
		t.Errorf("told %v", e)
	}
	home := s.expect(201, token, http.MethodPost, books, fmt.Sprintf(address, "")).Field("addressId")
	work := s.expect(201, token, http.MethodPost, books, fmt.Sprintf(address, `,"default":true,"line2":"Suite 5"`))
	if work.Field("default") != "true" || work.Field("line2") != "Suite 5" {
		t.Errorf("added: %s", work)
	}
	if list := s.expect(200, token, http.MethodGet, books, ""); len(list.Data()) != 2 || list.More() || fmt.Sprint(list.Data()[0]["default"], list.Data()[1]["default"]) != "false true" {
		t.Errorf("book: %s", list)
	}
	if a := s.expect(200, token, http.MethodPatch, books+"/"+home, `{"default":true,"city":"Ulsan"}`); a.Field("default") != "true" || a.Field("city") != "Ulsan" || a.Field("line1") != "2 Example-ro" {
		t.Errorf("changed: %s", a)
	}
	s.expect(204, token, http.MethodDelete, books+"/"+work.Field("addressId"), "")
	s.expect(404, token, http.MethodDelete, books+"/"+work.Field("addressId"), "")
	if e := s.last(id, 6); len(e.GetAddresses()) != 1 || !e.GetAddresses()[0].GetDefault() || e.GetAddresses()[0].GetCity() != "Ulsan" {
		t.Errorf("told %v", e)
	}
	s.expect(204, token, http.MethodDelete, me, "")
	if e := s.Await(7, rig.About(id))[6]; !e.Erased || e.Type != "quadrille.member.v1.MemberChanged" || e.Sequence != 7 {
		t.Errorf("erased by %+v", e)
	}
	for _, gone := range []struct{ method, path, body string }{
		{http.MethodGet, me, ""},
		{http.MethodPatch, me, `{"name":"x"}`},
		{http.MethodDelete, me, ""},
		{http.MethodGet, books, ""},
		{http.MethodPost, books, fmt.Sprintf(address, "")},
	} {
		s.expect(404, token, gone.method, gone.path, gone.body)
	}
	s.expect(401, "", http.MethodPost, sessions, `{"email":"park@shop.example","password":"a long password"}`)
	s.leavesNothing("Park", "02-123-4567", "Ulsan")
	if again, _ := s.signUp("park@shop.example"); again == id {
		t.Error("an id was given twice")
	}
}

// leavesNothing searches every table of the service, once what it publishes is published.
func (s *system) leavesNothing(words ...string) {
	s.T.Helper()
	testkit.Eventually(s.T, rig.Patience, func() error {
		for _, table := range []string{"member", "address", "command", "outbox", "subject", "inbox", "failure", "parked_event", "call"} {
			var rows []string
			if err := s.Pool.QueryRow(s.T.Context(), `SELECT coalesce(array_agg(x::text), '{}') FROM `+table+` x`).Scan(&rows); err != nil {
				return err
			}
			for _, row := range rows {
				for _, word := range words {
					if strings.Contains(row, word) || strings.Contains(row, fmt.Sprintf("%x", word)) {
						return fmt.Errorf("%s has %q", table, word)
					}
				}
			}
		}
		return nil
	})
}

// Each endpoint as nobody, as a member, as somebody whom only the issuer knows, and with a token that does not hold.
func TestPrincipals(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	tokens := map[string]string{
		"nobody": "", "kim": s.token("kim"), "stranger": s.token("stranger"), "forged": s.Token("kim"), "operator": s.token("olga", "operator"),
	}
	book := fmt.Sprintf(address, "")
	for _, c := range []struct {
		method, path, body string
		kim                int
	}{
		{http.MethodGet, me, "", 200},
		{http.MethodPatch, me, `{"phone":"02-1"}`, 200},
		{http.MethodGet, books, "", 200},
		{http.MethodPost, books, book, 201},
		{http.MethodPatch, books + "/k1", `{"city":"Ulsan"}`, 200},
		{http.MethodPatch, books + "/none", `{"city":"Ulsan"}`, 404},
		{http.MethodDelete, books + "/none", "", 404},
		{http.MethodDelete, books + "/k1", "", 204},
		{http.MethodDelete, me, "", 204},
	} {
		for _, who := range slices.Sorted(maps.Keys(tokens)) {
			want := map[string]int{"nobody": 401, "forged": 401, "stranger": 404, "operator": 404, "kim": c.kim}[who]
			if a := s.Call(tokens[who], c.method, c.path, c.body); a.Status != want {
				t.Errorf("%s %s as %s: %s, want %d", c.method, c.path, who, a, want)
			}
		}
	}
}

// Another member's address is as none.
func TestAddressesAreOnesOwn(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	lee := s.token("lee")
	s.expect(404, lee, http.MethodPatch, books+"/k1", `{"city":"Ulsan"}`)
	s.expect(404, lee, http.MethodDelete, books+"/k1", "")
	if list := s.expect(200, s.token("kim"), http.MethodGet, books, ""); len(list.Data()) != 1 || list.Data()[0]["city"] != "Seoul" {
		t.Errorf("book: %s", list)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"MAX_ADDRESSES": "2"})
	kim := s.token("kim")
	register := func(fields string) string {
		return `{"email":"new@shop.example","password":"a long password","name":"New"` + fields + `}`
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		code, pointer      string
	}{
		{http.MethodPost, members, `{}`, 400, "missing_field", "/email"},
		{http.MethodPost, members, register(`,"admin":true`), 400, "unknown_field", "/admin"},
		{http.MethodPost, members, register(`,"memberId":"kim"`), 400, "unknown_field", "/memberId"},
		{http.MethodPost, members, register(`,"phone":"call me"`), 400, "invalid_field", "/phone"},
		{http.MethodPost, members, register(`,"language":"Korean!"`), 400, "invalid_field", "/language"},
		{http.MethodPost, members, `{"email":"new@shop.example","password":"short","name":"New"}`, 400, "invalid_field", "/password"},
		{http.MethodPost, members, `{"email":"new@shop.example","password":"` + strings.Repeat("x", 129) + `","name":"New"}`, 400, "invalid_field", "/password"},
		{http.MethodPost, members, `{"email":"New <new@shop.example>","password":"a long password","name":"New"}`, 400, "invalid_field", "/email"},
		{http.MethodPost, members, `{"email":"new@shop.example\r\nBcc: x@shop.example","password":"a long password","name":"New"}`, 400, "invalid_field", "/email"},
		{http.MethodPost, members, `{"email":"new@shop.example","password":"a long password","name":"N\u0000ew"}`, 400, "invalid_field", "/name"},
		{http.MethodPost, members, `{"email":"new@shop.example","password":"a long password","name":"  "}`, 400, "invalid_field", "/name"},
		{http.MethodPost, members, `{"email":"kim@SHOP.example","password":"a long password","name":"New"}`, 409, "email_taken", ""},
		{http.MethodPost, sessions, `{"email":"kim@shop.example"}`, 400, "missing_field", "/password"},
		{http.MethodPost, sessions, `{"email":"kim@shop.example","password":"wrong"}`, 401, "invalid_credentials", ""},
		{http.MethodPost, sessions, `{"email":"who@shop.example","password":"wrong"}`, 401, "invalid_credentials", ""},
		{http.MethodPatch, me, `{"email":"k@shop.example"}`, 400, "missing_field", "/currentPassword"},
		{http.MethodPatch, me, `{"password":"another password"}`, 400, "missing_field", "/currentPassword"},
		{http.MethodPatch, me, `{"password":"another password","currentPassword":"wrong"}`, 403, "forbidden", ""},
		{http.MethodPost, books, `{"name":"Kim"}`, 400, "missing_field", "/phone"},
		{http.MethodPost, books, fmt.Sprintf(strings.Replace(address, "48058", "4805", 1), ""), 400, "invalid_field", "/postalCode"},
		{http.MethodPost, books, fmt.Sprintf(strings.Replace(address, `"KR"`, `"Korea"`, 1), ""), 400, "invalid_field", "/country"},
		{http.MethodPost, books, fmt.Sprintf(address, `,"addressId":"x"`), 400, "unknown_field", "/addressId"},
		{http.MethodPatch, books + "/k1", `{"line1":""}`, 400, "invalid_field", "/line1"},
		{http.MethodPatch, books + "/%00%ff", `{"line1":"x"}`, 404, "not_found", ""},
	} {
		a := s.Call(kim, c.method, c.path, c.body)
		if a.Status != c.status || a.Code() != c.code || c.pointer != "" && a.Pointer() != c.pointer {
			t.Errorf("%s %s %s: %s, want %d %s at %s", c.method, c.path, c.body, a, c.status, c.code, c.pointer)
		}
	}
	s.expect(201, kim, http.MethodPost, books, fmt.Sprintf(address, ""))
	if a := s.expect(422, kim, http.MethodPost, books, fmt.Sprintf(address, "")); a.Code() != "address_limit_reached" {
		t.Errorf("a third: %s", a)
	}
}

// A key is good for one body, and a password is part of it although its hash is not kept with the key.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	body := func(password string) string {
		return `{"email":"new@shop.example","password":"` + password + `","name":"New"}`
	}
	first := s.expect(201, "", http.MethodPost, members, body("a long password"), "Idempotency-Key", "one")
	again := s.expect(201, "", http.MethodPost, members, body("a long password"), "Idempotency-Key", "one")
	if again.Field("memberId") != first.Field("memberId") || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %s", again)
	}
	other := s.expect(422, "", http.MethodPost, members, body("another password"), "Idempotency-Key", "one")
	if other.Code() != "idempotency_key_reused" || other.Header.Get("Idempotency-Replayed") != "" {
		t.Errorf("with another password: %s", other)
	}
	s.expect(201, "", http.MethodPost, members, `{"email":"other@shop.example","password":"a long password","name":"New"}`, "Idempotency-Key", "one")

	kim := s.token("kim")
	one := s.expect(201, kim, http.MethodPost, books, fmt.Sprintf(address, ""), "Idempotency-Key", "book")
	two := s.expect(201, kim, http.MethodPost, books, fmt.Sprintf(address, ""), "Idempotency-Key", "book")
	if one.Field("addressId") != two.Field("addressId") {
		t.Errorf("two addresses of one key: %s, %s", one, two)
	}
	s.leavesNothing("a long password", "another password")
}

// Who changes the e-mail address or the password shows the old one; the new one is the one that counts.
func TestChangeOfPassword(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	id, token := s.signUp("new@shop.example")
	s.expect(200, token, http.MethodPatch, me, `{"password":"another password","email":"newer@shop.example","currentPassword":"a long password"}`)
	s.expect(401, "", http.MethodPost, sessions, `{"email":"new@shop.example","password":"another password"}`)
	s.expect(401, "", http.MethodPost, sessions, `{"email":"newer@shop.example","password":"a long password"}`)
	s.expect(200, "", http.MethodPost, sessions, `{"email":"newer@shop.example","password":"another password"}`)
	s.expect(200, token, http.MethodPatch, me, `{"password":"a third password","currentPassword":"another password"}`)
	if e := s.last(id, 2); e.GetEmail() != "newer@shop.example" {
		t.Errorf("told %v", e)
	}
}

// Guessing ends, for an e-mail address from anywhere and for a client's address with any; the right password, and
// other members, are not in the way of it.
func TestGuessingIsLimited(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"LOGIN_TRIES": "3", "LOGIN_TRIES_PER_ADDRESS": "8", "TRUSTED_PROXIES": "127.0.0.1"})
	try := func(email, password, from string) rig.Answer {
		return s.Call("", http.MethodPost, sessions, fmt.Sprintf(`{"email":%q,"password":%q}`, email, password), "X-Forwarded-For", from)
	}
	for range 5 {
		if a := try("kim@shop.example", devPassword, "192.0.2.1"); a.Status != 200 {
			t.Fatalf("the right one: %s", a)
		}
	}
	statuses := map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			a := try("KIM@shop.example", "wrong password", fmt.Sprintf("192.0.2.%d", 10+i))
			mu.Lock()
			defer mu.Unlock()
			statuses[a.Status]++
		})
	}
	wg.Wait()
	if statuses[401] != 3 || statuses[429] != 9 {
		t.Errorf("twelve guesses at once were answered %v", statuses)
	}
	if a := try("kim@shop.example", devPassword, "192.0.2.1"); a.Status != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("the right one, too late: %s", a)
	}
	for i := range 9 {
		a := try(fmt.Sprintf("guess%d@shop.example", i), "wrong password", "192.0.2.99")
		if want := map[bool]int{true: 401, false: 429}[i < 8]; a.Status != want {
			t.Errorf("guess %d from one address: %s, want %d", i, a, want)
		}
	}
}

// Two who register one e-mail address at once: one of them is a member.
func TestRegistrationsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"HASH_SLOTS": "2"})
	statuses := map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			email := []string{"twin@shop.example", "Twin@Shop.Example"}[i%2]
			a := s.Call("", http.MethodPost, members, fmt.Sprintf(`{"email":%q,"password":"a long password","name":"%d"}`, email, i))
			mu.Lock()
			defer mu.Unlock()
			statuses[a.Status]++
		})
	}
	wg.Wait()
	if statuses[201] != 1 || statuses[409] != 15 {
		t.Errorf("answered %v", statuses)
	}
}

// Addresses that all want to be the default, at once: one is, in the database and in every event.
func TestDefaultsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	lee := s.token("lee")
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if a := s.Call(lee, http.MethodPost, books, fmt.Sprintf(address, `,"default":true`)); a.Status != 201 {
				t.Errorf("%s", a)
			}
		})
	}
	wg.Wait()
	defaults := 0
	list := s.expect(200, lee, http.MethodGet, books, "").Data()
	for _, a := range list {
		if isDefault, _ := a["default"].(bool); isDefault {
			defaults++
		}
	}
	if len(list) != 12 || defaults != 1 {
		t.Errorf("%d addresses, %d defaults", len(list), defaults)
	}
	for n := 1; n <= 13; n++ {
		defaults := 0
		e := s.Await(13, rig.About("lee"))[n-1]
		for _, a := range changed(e).GetAddresses() {
			if a.GetDefault() {
				defaults++
			}
		}
		if want := min(n-1, 1); defaults != want || len(changed(e).GetAddresses()) != n-1 {
			t.Errorf("event %d: %d addresses, %d defaults", n, len(changed(e).GetAddresses()), defaults)
		}
	}
}

// Whoever is there already stays as they are when the file is read again; who was erased stays away.
func TestImportAgain(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.expect(200, "", http.MethodPost, sessions, `{"email":"kim@shop.example","password":"`+devPassword+`"}`)
	s.expect(200, s.token("kim"), http.MethodPatch, me, `{"name":"K. Kim"}`)
	s.expect(204, s.token("lee"), http.MethodDelete, me, "")
	s.last("lee", 2)
	s.stop()
	s.cfg.MembersFile = s.MembersFile(strings.Replace(seeded, `{"memberId":"lee"}`, `{"memberId":"lee"},{"memberId":"park"}`, 1))
	s.serve()
	if a := s.expect(200, s.token("kim"), http.MethodGet, me, ""); a.Field("name") != "K. Kim" {
		t.Errorf("kim: %s", a)
	}
	s.expect(404, s.token("lee"), http.MethodGet, me, "")
	s.expect(200, s.token("park"), http.MethodGet, me, "")
	s.last("park", 1)
	if n := len(s.Events(rig.About("lee"))); n != 2 {
		t.Errorf("%d events of lee", n)
	}
}

// Where an identity provider has the passwords, a member begins with a profile.
func TestIdentityProvider(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"SESSION_KEY_FILE": ""})
	s.expect(404, "", http.MethodPost, members, `{"email":"new@shop.example","password":"a long password","name":"New"}`)
	s.expect(404, "", http.MethodPost, sessions, `{"email":"kim@shop.example","password":"`+devPassword+`"}`)
	token := s.token("idp|123")
	s.expect(404, token, http.MethodGet, me, "")
	if a := s.expect(400, token, http.MethodPatch, me, `{"name":"New"}`); a.Pointer() != "/email" {
		t.Errorf("a profile without an address: %s", a)
	}
	s.expect(400, token, http.MethodPatch, me, `{"name":"New","email":"new@shop.example","password":"a long password"}`)
	s.expect(200, token, http.MethodPatch, me, `{"name":"New","email":"new@shop.example"}`)
	s.expect(201, token, http.MethodPost, books, fmt.Sprintf(address, ""))
	s.expect(200, token, http.MethodPatch, me, `{"email":"newer@shop.example"}`)
	if e := s.last("idp|123", 3); e.GetEmail() != "newer@shop.example" || len(e.GetAddresses()) != 1 {
		t.Errorf("told %v", e)
	}
	s.expect(204, token, http.MethodDelete, me, "")
	s.expect(404, token, http.MethodPatch, me, `{"name":"New","email":"new@shop.example"}`)
}
