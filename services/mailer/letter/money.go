package letter

import (
	"strconv"
	"strings"
)

// digits of the minor unit where they are not two (ISO 4217).
var digits = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0,
	"VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// symbols that nobody takes for another currency's.
var symbols = map[string]string{"KRW": "₩", "EUR": "€", "GBP": "£", "JPY": "¥"}

// Money shows an amount in a currency's minor unit as the language writes it: 10050 KRW is ₩10,050 in English and
// 10,050원 in Korean, 10050 CHF is CHF 100.50 in both. Other languages read English.
func Money(amount int64, currency, language string) string {
	n, known := digits[currency]
	if !known {
		n = 2
	}
	text := strconv.FormatInt(amount, 10)
	text, negative := strings.CutPrefix(text, "-")
	if len(text) <= n {
		text = strings.Repeat("0", n+1-len(text)) + text
	}
	whole, fraction := grouped(text[:len(text)-n]), text[len(text)-n:]
	if fraction != "" {
		whole += "." + fraction
	}
	switch symbol := symbols[currency]; {
	case language == "ko" && currency == "KRW":
		whole += "원"
	case symbol != "":
		whole = symbol + whole
	case currency != "":
		whole = currency + " " + whole
	}
	if negative {
		return "-" + whole
	}
	return whole
}

// points shows a number of points, with the thousands apart.
func points(n int64, language string) string {
	text := grouped(strconv.FormatInt(n, 10))
	if language == "ko" {
		return text + "P"
	}
	return text
}

func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
