package shipping

import (
	"strings"
	"testing"
)

func good() Address {
	return Address{
		AddressID: "a", UserID: "u", Name: "김철수", Phone: "+82 (0)2-123.4567", Line1: "1 Sejong-daero", Line2: "", City: "Seoul",
		PostalCode: "04524", Country: "KR",
	}
}

// What a carrier could deliver to is let through, what it could not is named by its field.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Address)
		want   string
	}{
		"good":                  {func(*Address) {}, ""},
		"two lines":             {func(a *Address) { a.Line2 = "301호" }, ""},
		"no name":               {func(a *Address) { a.Name = " " }, "address_name"},
		"long name":             {func(a *Address) { a.Name = strings.Repeat("가", 101) }, "address_name"},
		"longest name":          {func(a *Address) { a.Name = strings.Repeat("가", 100) }, ""},
		"bell in the name":      {func(a *Address) { a.Name = "Kim\a" }, "address_name"},
		"no UTF-8":              {func(a *Address) { a.City = "Seo\xff" }, "address_city"},
		"words for a phone":     {func(a *Address) { a.Phone = "call me" }, "address_phone"},
		"a phone of dashes":     {func(a *Address) { a.Phone = "+-- 1" }, "address_phone"},
		"no phone":              {func(a *Address) { a.Phone = "" }, "address_phone"},
		"no line 1":             {func(a *Address) { a.Line1 = "" }, "address_line1"},
		"a second label":        {func(a *Address) { a.Line1 = "1 Road\nTo: somebody else" }, "address_line1"},
		"line break in line 2":  {func(a *Address) { a.Line2 = "x\r\ny" }, "address_line2"},
		"no city":               {func(a *Address) { a.City = "" }, "address_city"},
		"no country":            {func(a *Address) { a.Country = "" }, "address_country"},
		"three letters":         {func(a *Address) { a.Country = "KOR" }, "address_country"},
		"small letters":         {func(a *Address) { a.Country = "kr" }, "address_country"},
		"half of two countries": {func(a *Address) { a.Country = "D " }, "address_country"},
		"no such country":       {func(a *Address) { a.Country = "XX" }, "address_country"},
		"Korea: four digits":    {func(a *Address) { a.PostalCode = "0452" }, "address_postal_code"},
		"Korea: of old":         {func(a *Address) { a.PostalCode = "100-101" }, "address_postal_code"},
		"Korea: full width":     {func(a *Address) { a.PostalCode = "０４５２４" }, "address_postal_code"},
		"Korea: a line after":   {func(a *Address) { a.PostalCode = "04524\n" }, "address_postal_code"},
		"Japan":                 {func(a *Address) { a.Country, a.PostalCode = "JP", "100-0001" }, ""},
		"Japan: five digits":    {func(a *Address) { a.Country, a.PostalCode = "JP", "10000" }, "address_postal_code"},
		"United States":         {func(a *Address) { a.Country, a.PostalCode = "US", "94103-1234" }, ""},
		"United Kingdom":        {func(a *Address) { a.Country, a.PostalCode = "GB", "SW1A 1AA" }, ""},
		"Canada":                {func(a *Address) { a.Country, a.PostalCode = "CA", "K1A 0B1" }, ""},
		"Germany":               {func(a *Address) { a.Country, a.PostalCode = "DE", "1234" }, "address_postal_code"},
		"Ireland":               {func(a *Address) { a.Country, a.PostalCode = "IE", "D02 AF30" }, ""},
		"Ireland: none":         {func(a *Address) { a.Country, a.PostalCode = "IE", "" }, "address_postal_code"},
		"Zimbabwe, the last":    {func(a *Address) { a.Country, a.PostalCode = "ZW", "0" }, ""},
	} {
		a := good()
		c.change(&a)
		if got := a.Problem(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The word says nothing of what is in an address.
func FuzzAddress(f *testing.F) {
	f.Add("Kim", "+82 2 1", "1 Road", "", "Seoul", "04524", "KR")
	f.Fuzz(func(t *testing.T, name, phone, line1, line2, city, postal, country string) {
		a := Address{Name: name, Phone: phone, Line1: line1, Line2: line2, City: city, PostalCode: postal, Country: country}
		word := a.Problem()
		if word != "" && !strings.HasPrefix(word, "address_") {
			t.Errorf("%q", word)
		}
		if word == "" && strings.ContainsAny(name+phone+line1+line2+city+postal+country, "\r\n\x00") {
			t.Errorf("a label would have more lines than it should: %+v", a)
		}
	})
}
