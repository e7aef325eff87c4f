package shipping

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The most characters of an address's fields.
const (
	maxName  = 100
	maxPhone = 34
	maxLine  = 200
	maxCity  = 100
)

// countries are the codes of ISO 3166-1 alpha-2 that are assigned.
const countries = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ " +
	"CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR " +
	"GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP " +
	"KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ " +
	"NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW " +
	"SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ " +
	"UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW "

// postalCodes are the forms of postal codes by country. Where a country is not here, anyPostalCode is the form: to refuse
// what would have arrived costs an order, to let through what will not costs a refusal by the carrier.
var postalCodes = map[string]*regexp.Regexp{
	"KR": regexp.MustCompile(`^[0-9]{5}$`),
	"JP": regexp.MustCompile(`^[0-9]{3}-?[0-9]{4}$`),
	"CN": regexp.MustCompile(`^[0-9]{6}$`),
	"TW": regexp.MustCompile(`^[0-9]{3}([0-9]{2,3})?$`),
	"SG": regexp.MustCompile(`^[0-9]{6}$`),
	"US": regexp.MustCompile(`^[0-9]{5}(-[0-9]{4})?$`),
	"CA": regexp.MustCompile(`^[A-Za-z][0-9][A-Za-z][ -]?[0-9][A-Za-z][0-9]$`),
	"GB": regexp.MustCompile(`^[A-Za-z]{1,2}[0-9][A-Za-z0-9]? ?[0-9][A-Za-z]{2}$`),
	"AU": regexp.MustCompile(`^[0-9]{4}$`),
	"DE": regexp.MustCompile(`^[0-9]{5}$`),
	"FR": regexp.MustCompile(`^[0-9]{5}$`),
	"ES": regexp.MustCompile(`^[0-9]{5}$`),
	"IT": regexp.MustCompile(`^[0-9]{5}$`),
	"NL": regexp.MustCompile(`^[0-9]{4} ?[A-Za-z]{2}$`),
	"AT": regexp.MustCompile(`^[0-9]{4}$`),
	"CH": regexp.MustCompile(`^[0-9]{4}$`),
}

var (
	anyPostalCode = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 -]{0,15}$`)
	phoneNumber   = regexp.MustCompile(`^\+?[0-9 ().-]*[0-9][0-9 ().-]*[0-9][0-9 ().-]*$`)
)

// Problem says what is wrong with an address, as a stable word, or "": no carrier could deliver to it, so none is asked.
// The word names the field and nothing of what is in it.
func (a Address) Problem() string {
	form := postalCodes[a.Country]
	if form == nil {
		form = anyPostalCode
	}
	for _, c := range []struct {
		word string
		good bool
	}{
		{"address_name", written(a.Name, maxName)},
		{"address_phone", written(a.Phone, maxPhone) && phoneNumber.MatchString(a.Phone)},
		{"address_line1", written(a.Line1, maxLine)},
		{"address_line2", a.Line2 == "" || plain(a.Line2, maxLine)},
		{"address_city", written(a.City, maxCity)},
		{"address_country", len(a.Country) == 2 && strings.Contains(countries, a.Country+" ")},
		{"address_postal_code", form.MatchString(a.PostalCode)},
	} {
		if !c.good {
			return c.word
		}
	}
	return ""
}

// written says whether there is something in a text, and nothing that does not belong there.
func written(s string, most int) bool { return strings.TrimSpace(s) != "" && plain(s, most) }

// plain says whether a text can be put on a label: valid, not too long, and without characters that control something.
func plain(s string, most int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return false
	}
	return !strings.ContainsFunc(s, unicode.IsControl)
}
