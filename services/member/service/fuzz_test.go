package service

import (
	netmail "net/mail"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/member"
)

// line fails unless a text is of the one line that an envelope, a label or a header has for it.
func line(t *testing.T, what, text string, most int) {
	t.Helper()
	if utf8.RuneCountInString(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		t.Fatalf("%s is %q", what, text)
	}
}

// FuzzRegister: a member who is taken has an address that a mail can be sent to and no other header can be made of, a
// name that says something, and a password within its bounds; the changes of a profile are as strict.
func FuzzRegister(f *testing.F) {
	for _, body := range []string{
		`{"email":"z@e.example","password":"a nightingale","name":"Zephyrine","phone":"+82-2-7391-5528","language":"ko"}`,
		`{"email":"회원@e.example","password":"비밀번호비밀번호","name":"이름","phone":"","language":"zh-Hant-TW"}`,
		`{"email":"z@e.example\r\nBcc: all@e.example","password":"12345678","name":"a\nb"}`, `{"email":"Z <z@e.example>","password":"12345678","name":"a"}`,
		`{"email":"\"a b\"@e.example","password":"12345678","name":" "}`, `{"email":"z@[127.0.0.1]","password":"12345678","name":"a"}`, `{"email":"a@b@c","password":"1234567","name":"a"}`,
		`{"email":"z@e.example,y@e.example","password":"\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000","name":"a"}`,
		`{"email":"z@e.example","password":"12345678","name":"a","phone":"1","language":"_"}`, `{"email":"@","password":null,"name":""}`, `{}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r registerRequest
		if rig.Refused(t, rig.Decode(body, &r)) {
			return
		}
		profile := changeRequest{Email: r.Email, Password: r.Password, Name: r.Name, Phone: r.Phone, Language: r.Language}
		missing := r.Email == nil || r.Password == nil || r.Name == nil
		if err := r.check(); (err != nil) != (profile.check() != nil || missing) {
			t.Fatalf("%s is taken as one and refused as the other: %v, %v", body, err, profile.check())
		} else if rig.Refused(t, err) {
			return
		}
		// Of a list or of a name beside the address there would be a second one to send to.
		list, err := netmail.ParseAddressList(*r.Email)
		if err != nil || len(list) != 1 || list[0].Address != *r.Email || list[0].Name != "" {
			t.Fatalf("%q is taken for an e-mail address: %v, %v", *r.Email, list, err)
		}
		line(t, "email", *r.Email, 254)
		line(t, "name", *r.Name, 100)
		line(t, "phone", web.Or(r.Phone, ""), 33)
		line(t, "language", web.Or(r.Language, ""), 33)
		if n := utf8.RuneCountInString(*r.Password); n < 8 || n > 128 || strings.TrimSpace(*r.Name) == "" {
			t.Fatalf("taken: %s", body)
		}
		signIn := sessionRequest{Email: r.Email, Password: r.Password}
		if err := signIn.check(); err != nil {
			t.Fatalf("%s may register and not sign in: %v", body, err)
		}
	})
}

// FuzzSession: whoever signs in says an e-mail address and a password that is worth hashing; one address is one member
// however it is written.
func FuzzSession(f *testing.F) {
	for _, body := range []string{
		`{"email":"z@e.example","password":"a nightingale"}`, `{"email":"Z@E.EXAMPLE","password":""}`, `{"email":"ＺＺ@e.example","password":"x"}`, `{"email":"İ@e.example","password":"x"}`,
		`{"email":"z@e.example\u0000","password":"x"}`, `{"email":["z@e.example"],"password":{"$ne":null}}`, `{"email":"' OR 1=1 --@e.example","password":"x"}`,
		`{"email":"z@e.example","password":"` + strings.Repeat("a", 129) + `"}`, `{"email":null,"password":null}`, `{}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r sessionRequest
		if rig.Refused(t, rig.Decode(body, &r)) || rig.Refused(t, r.check()) {
			return
		}
		line(t, "email", *r.Email, 254)
		if utf8.RuneCountInString(*r.Password) > 128 {
			t.Fatalf("a password of %d characters is hashed", utf8.RuneCountInString(*r.Password))
		}
		key := member.EmailKey(*r.Email)
		if key == "" || member.EmailKey(key) != key || !strings.Contains(key, "@") || strings.ContainsRune(key, 0) {
			t.Fatalf("%q is found by %q, and that by %q", *r.Email, key, member.EmailKey(key))
		}
	})
}

// FuzzAddress: an address book has one default at most whatever is added and changed, what is in it can be printed on a
// label, and a change leaves what it does not name.
func FuzzAddress(f *testing.F) {
	const whole = `{"name":"Zephyrine","phone":"02-000-0000","line1":"1 Road","line2":"2nd floor","city":"Seoul","postalCode":"04524","country":"KR","default":true}`
	for _, bodies := range [][2]string{
		{whole, `{"default":false}`},
		{whole, whole},
		{whole, `{"city":"\u202eSeoul","line2":""}`},
		{whole, `{"country":"US"}`},
		{whole, `{"postalCode":"SW1A 1AA"}`},
		{`{"name":" ","phone":"x","line1":"\n","city":"","postalCode":"-","country":"kr"}`, `{}`},
		{`{}`, `null`},
		{strings.Replace(whole, "true", "null", 1), `{"name":null}`},
	} {
		f.Add([]byte(bodies[0]), []byte(bodies[1]))
	}
	f.Fuzz(func(t *testing.T, added, changed []byte) {
		var w member.World
		w.Members.Loaded("m", member.Member{MemberID: "m", Email: "z@e.example", Name: "Z", Addresses: []member.Address{{AddressID: "old", Default: true}}})
		var r addressRequest
		var bad web.Fields
		if rig.Refused(t, rig.Decode(added, &r)) {
			return
		}
		r.missing(&bad)
		r.invalid(&bad)
		if rig.Refused(t, bad.Err()) {
			return
		}
		flowtest.Decide(t, member.Topology, &w, member.AddAddress{MemberID: "m", Address: r.address("new"), Choice: r.Default != nil, Limit: 2})
		first := book(t, &w)
		var c addressRequest
		bad = web.Fields{}
		if rig.Refused(t, rig.Decode(changed, &c)) {
			return
		}
		c.invalid(&bad)
		if rig.Refused(t, bad.Err()) {
			return
		}
		flowtest.Decide(t, member.Topology, &w, member.ChangeAddress{
			MemberID: "m", AddressID: "new", Name: c.Name, Phone: c.Phone, Line1: c.Line1, Line2: c.Line2, City: c.City,
			PostalCode: c.PostalCode, Country: c.Country, Default: c.Default,
		})
		want := member.Address{
			AddressID: "new", Name: web.Or(c.Name, first.Name), Phone: web.Or(c.Phone, first.Phone), Line1: web.Or(c.Line1, first.Line1),
			Line2: web.Or(c.Line2, first.Line2), City: web.Or(c.City, first.City), PostalCode: web.Or(c.PostalCode, first.PostalCode),
			Country: web.Or(c.Country, first.Country), Default: web.Or(c.Default, first.Default),
		}
		if second := book(t, &w); second != want {
			t.Fatalf("%s makes %+v of %+v, want %+v", changed, second, first, want)
		}
	})
}

// book checks the address book, and finds the new address.
func book(t *testing.T, w *member.World) (found member.Address) {
	t.Helper()
	x, _ := w.Members.Get("m")
	defaults := 0
	for _, a := range x.Addresses {
		if a.Default {
			defaults++
		}
		if a.AddressID == "new" {
			found = a
		}
	}
	if len(x.Addresses) != 2 || defaults > 1 || found.AddressID == "" {
		t.Fatalf("the book has %+v", x.Addresses)
	}
	line(t, "name", found.Name, 100)
	line(t, "phone", found.Phone, 33)
	line(t, "line 1", found.Line1, 200)
	line(t, "line 2", found.Line2, 200)
	line(t, "city", found.City, 100)
	line(t, "postal code", found.PostalCode, 16)
	if len(found.Country) != 2 || strings.TrimSpace(found.Name) == "" || strings.TrimSpace(found.Line1) == "" || strings.TrimSpace(found.City) == "" {
		t.Fatalf("an address of %+v", found)
	}
	return found
}
