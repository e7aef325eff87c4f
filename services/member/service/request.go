package service

import (
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/member"
)

// registerRequest is POST /api/v1/members.
type registerRequest struct {
	Email    *string `json:"email"`
	Password *string `json:"password"`
	Name     *string `json:"name"`
	Phone    *string `json:"phone"`
	Language *string `json:"language"`
}

func (r registerRequest) check() error {
	var bad web.Fields
	bad.Missing("/email", r.Email == nil)
	bad.Missing("/password", r.Password == nil)
	bad.Missing("/name", r.Name == nil)
	checkProfile(&bad, r.Email, r.Name, r.Phone, r.Language)
	checkPassword(&bad, r.Password)
	return bad.Err()
}

// changeRequest is PATCH /api/v1/members/me. What is absent or null stays. A new e-mail address or password needs the
// current password: a token that was left lying about is not enough to take a member's place.
type changeRequest struct {
	Email           *string `json:"email"`
	Name            *string `json:"name"`
	Phone           *string `json:"phone"`
	Language        *string `json:"language"`
	Password        *string `json:"password"`
	CurrentPassword *string `json:"currentPassword"`
}

func (r changeRequest) check() error {
	var bad web.Fields
	checkProfile(&bad, r.Email, r.Name, r.Phone, r.Language)
	checkPassword(&bad, r.Password)
	return bad.Err()
}

// sessionRequest is POST /api/v1/sessions.
type sessionRequest struct {
	Email    *string `json:"email"`
	Password *string `json:"password"`
}

func (r sessionRequest) check() error {
	var bad web.Fields
	bad.Missing("/email", r.Email == nil)
	bad.Missing("/password", r.Password == nil)
	bad.Invalid("/email", r.Email != nil && !isEmail(*r.Email), "An e-mail address.")
	bad.Invalid("/password", r.Password != nil && utf8.RuneCountInString(*r.Password) > longestPassword, "At most 128 characters.")
	return bad.Err()
}

// addressRequest is POST and PATCH of addresses.
type addressRequest struct {
	Name       *string `json:"name"`
	Phone      *string `json:"phone"`
	Line1      *string `json:"line1"`
	Line2      *string `json:"line2"`
	City       *string `json:"city"`
	PostalCode *string `json:"postalCode"`
	Country    *string `json:"country"`
	Default    *bool   `json:"default"`
}

// missing names the fields that a whole address lacks.
func (r addressRequest) missing(bad *web.Fields) {
	bad.Missing("/name", r.Name == nil)
	bad.Missing("/phone", r.Phone == nil)
	bad.Missing("/line1", r.Line1 == nil)
	bad.Missing("/city", r.City == nil)
	bad.Missing("/postalCode", r.PostalCode == nil)
	bad.Missing("/country", r.Country == nil)
}

func (r addressRequest) invalid(bad *web.Fields) {
	bad.Invalid("/name", !isWords(r.Name, 100), "1 to 100 characters without control characters.")
	bad.Invalid("/phone", r.Phone != nil && !phoneForm.MatchString(*r.Phone), phoneDetail)
	bad.Invalid("/line1", !isWords(r.Line1, 200), "1 to 200 characters without control characters.")
	bad.Invalid("/line2", r.Line2 != nil && !web.Printable(*r.Line2, 200), "At most 200 characters without control characters.")
	bad.Invalid("/city", !isWords(r.City, 100), "1 to 100 characters without control characters.")
	bad.Invalid("/postalCode", r.PostalCode != nil && !postalForm.MatchString(*r.PostalCode), "1 to 16 letters, digits, spaces and hyphens.")
	bad.Invalid("/country", r.Country != nil && !countryForm.MatchString(*r.Country), "An ISO 3166-1 code of two capital letters.")
	bad.Invalid("/postalCode", r.Country != nil && *r.Country == "KR" && r.PostalCode != nil && !koreanPostalForm.MatchString(*r.PostalCode),
		"Five digits, in Korea.")
}

func (r addressRequest) address(id string) member.Address {
	return member.Address{
		AddressID: id, Name: *r.Name, Phone: *r.Phone, Line1: *r.Line1, Line2: web.Or(r.Line2, ""), City: *r.City,
		PostalCode: *r.PostalCode, Country: *r.Country, Default: web.Or(r.Default, false),
	}
}

var (
	phoneForm        = regexp.MustCompile(`^\+?[0-9][0-9 ().-]{1,30}[0-9]$`)
	postalForm       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 -]{0,14}[A-Za-z0-9])?$`)
	koreanPostalForm = regexp.MustCompile(`^[0-9]{5}$`)
	countryForm      = regexp.MustCompile(`^[A-Z]{2}$`)
	languageForm     = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)
)

const (
	phoneDetail = "3 to 33 digits, with spaces, dots, hyphens, parentheses and a leading + between them."
	// shortestPassword is what NIST SP 800-63B asks for at least; the longest keeps a body from being all password.
	shortestPassword, longestPassword = 8, 128
)

func checkProfile(bad *web.Fields, email, name, phone, language *string) {
	bad.Invalid("/email", email != nil && !isEmail(*email), "An e-mail address.")
	bad.Invalid("/name", !isWords(name, 100), "1 to 100 characters without control characters.")
	bad.Invalid("/phone", phone != nil && *phone != "" && !phoneForm.MatchString(*phone), phoneDetail)
	bad.Invalid("/language", language != nil && !isLanguage(*language), "A BCP 47 tag such as ko or en.")
}

func checkPassword(bad *web.Fields, password *string) {
	if password == nil {
		return
	}
	n := utf8.RuneCountInString(*password)
	bad.Invalid("/password", n < shortestPassword || n > longestPassword, "8 to 128 characters.")
}

// isWords: what is said has to be something, printable, of at most so many characters. nil says nothing.
func isWords(text *string, most int) bool {
	return text == nil || strings.TrimSpace(*text) != "" && web.Printable(*text, most)
}

// isEmail: the bare address of RFC 5322, with a domain, short enough for SMTP (RFC 5321 section 4.5.3.1).
func isEmail(text string) bool {
	parsed, err := netmail.ParseAddress(text)
	at := strings.LastIndexByte(text, '@')
	return err == nil && parsed.Name == "" && parsed.Address == text && len(text) <= 254 && at > 0 && at <= 64 && web.Printable(text, 254)
}

func isLanguage(tag string) bool { return languageForm.MatchString(tag) }
