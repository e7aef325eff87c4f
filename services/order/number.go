package order

import (
	"encoding/hex"
	"strings"
	"time"
)

// numberAlphabet is Crockford's base32: no I, L, O and U.
const numberAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// A number's data is numberBits of the order's id, five to a letter: its time (numberTimeBits of milliseconds since
// numberEpoch), the 12 bits of the next field, and the first numberRandomBits of the last one.
const (
	numberTimeBits   = 40
	numberRandomBits = 3
	numberBits       = numberTimeBits + 12 + numberRandomBits
	numberLetters    = numberBits / 5
)

// numberEpoch is before every order. The time comes round again after 2^40 ms, in the year 2059.
var numberEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// NumberOf is what people call an order: "0P18-H100-000G", eleven letters and a check letter. It is made of the
// order's id (UUIDv7) alone, so it needs no column, no index and nobody to hand it out, and an id can be found by it
// (see NumberRange). "" for another id.
//
// An id's bits behind the milliseconds count in steps of 256 ns and never repeat in one process: the orders of one
// replica have different numbers. Of two replicas two orders share one if they were placed in the same 256 ns and the
// same three random bits fell: at 10 orders a second about two dozen pairs a year, at 1,000 a second in each of two
// replicas about one pair in half a minute. Then the number finds both; nothing is decided by it.
func NumberOf(orderID string) string {
	id, ok := idBytes(orderID)
	if !ok || id[6]>>4 != 7 {
		return ""
	}
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	data := uint64(ms-numberEpoch) & (1<<numberTimeBits - 1)
	data = data<<12 | uint64(id[6]&0x0f)<<8 | uint64(id[7])
	data = data<<numberRandomBits | uint64(id[8]&0x3f)>>(6-numberRandomBits)

	letters := make([]byte, 0, numberLetters+3)
	var sum byte
	for shift := numberBits - 5; shift >= 0; shift -= 5 {
		digit := byte(data >> shift & 31)
		sum = timesAlpha(sum) ^ digit
		letters = append(letters, numberAlphabet[digit])
	}
	letters = append(letters, numberAlphabet[timesAlpha(sum)])
	return string(letters[:4]) + "-" + string(letters[4:8]) + "-" + string(letters[8:])
}

// timesAlpha multiplies by a generator of the field of 32 elements (x^5 + x^2 + 1). A number's letters are the
// coefficients of a polynomial that has it as a root, so one wrong letter, or any two that changed places, never make
// another number.
func timesAlpha(a byte) byte {
	a <<= 1
	if a&32 != 0 {
		a ^= 37
	}
	return a
}

var asHeard = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1")

// NumberRange is the lowest and the highest id that an order of this number can have, written by whoever heard it:
// in capitals or not, grouped or not, O for 0, I or L for 1. False where it is no number.
func NumberRange(number string) (from, to string, ok bool) {
	heard := asHeard.Replace(strings.ToUpper(number))
	if len(heard) != numberLetters+1 {
		return "", "", false
	}
	var sum byte
	var data uint64
	for i := range len(heard) {
		digit := strings.IndexByte(numberAlphabet, heard[i])
		if digit < 0 {
			return "", "", false
		}
		sum = timesAlpha(sum) ^ byte(digit)
		if i < numberLetters {
			data = data<<5 | uint64(digit)
		}
	}
	if sum != 0 {
		return "", "", false
	}
	var low, high [16]byte
	ms := int64(data>>(12+numberRandomBits)) + numberEpoch
	for i := range 6 {
		low[i] = byte(ms >> (40 - 8*i))
	}
	step := data >> numberRandomBits & 0xfff
	low[6], low[7] = 0x70|byte(step>>8), byte(step)
	low[8] = 0x80 | byte(data&(1<<numberRandomBits-1))<<(6-numberRandomBits)
	copy(high[:], low[:8])
	high[8] = low[8] | (1<<(6-numberRandomBits) - 1)
	for i := 9; i < len(high); i++ {
		high[i] = 0xff
	}
	return idText(low), idText(high), true
}

// idBytes are those of an order's id as it is written everywhere: 36 characters, in lower case. (Package uuid can also make
// ids, which deciding code must not.)
func idBytes(id string) (b [16]byte, ok bool) {
	decoded, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(decoded) != len(b) {
		return b, false
	}
	copy(b[:], decoded)
	return b, idText(b) == id
}

func idText(b [16]byte) string {
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
