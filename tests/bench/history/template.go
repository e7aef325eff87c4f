package history

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// what a patch writes.
type what int

const (
	aUUID     what = iota // 16 bytes
	aUUIDText             // 36 characters
	aHex                  // characters of a trace id or span id
	digits                // characters of a tracking number
	micros                // a timestamp
	day                   // a date
	clock                 // the first 19 characters of an RFC 3339 time
	seconds               // of a protobuf Timestamp, a varint of 5 bytes
	member                // 6 digits
	address               // 11 digits
	product               // 4 digits
	policy                // 3 digits
	counter               // of an identity column, and whatever else rises with it
	balance               // of a member
	quantity              // of a product
	issued                // of a policy
)

// patch is a place in a recorded row that is another one in each copy.
type patch struct {
	at, size int
	what     what
	token    int       // which of the class's ids
	id       uuid.UUID // as recorded
	base     int64     // as recorded: seconds, or microseconds for a timestamp and a date
}

// template is a recorded row in the binary COPY's form.
type template struct {
	bytes   []byte
	patches []patch
	// keep is how long such rows are kept, 0 for ever; base are the microseconds (Unix) its age counts from.
	keep time.Duration
	base int64
}

// How long the engine keeps them (engine.Tuning: KeepInbox, KeepCommands).
const (
	keepInbox    = 14 * 24 * time.Hour
	keepCommands = 24 * time.Hour
)

// postgresEpoch is 2000-01-01 in Unix seconds.
const postgresEpoch = 946_684_800

const million = 1_000_000

// places finds what differs between copies.
type places struct {
	tokens  map[class]map[string]int
	from    time.Time           // everything was recorded between from
	to      time.Time           // and to
	eventAt map[uuid.UUID]int64 // microseconds (Unix) of each event
}

// token numbers the ids of a class.
func (p *places) token(c class, id string) int {
	if p.tokens[c] == nil {
		p.tokens[c] = map[string]int{}
	}
	n, known := p.tokens[c][id]
	if !known {
		n = len(p.tokens[c])
		p.tokens[c][id] = n
	}
	return n
}

// moment says whether a time belongs to the recording, and moves with the copy; others are constants.
func (p *places) moment(t time.Time) bool { return t.After(p.from) && t.Before(p.to) }

// template makes one of a row.
func (p *places) template(t *table, c class, row []field) (template, error) {
	tp := template{bytes: binary.BigEndian.AppendUint16(nil, uint16(len(row)))}
	for i, f := range row {
		if f == nil {
			tp.bytes = append(tp.bytes, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		tp.bytes = binary.BigEndian.AppendUint32(tp.bytes, uint32(len(f)))
		at := len(tp.bytes)
		tp.bytes = append(tp.bytes, f...)
		for _, found := range p.find(t, t.columns[i], c, row, f) {
			found.at += at
			tp.patches = append(tp.patches, found)
		}
	}
	var err error
	switch t.name {
	case "inbox":
		tp.keep = keepInbox
		tp.base, err = p.timeOfEvent(t, row)
	case "command":
		tp.keep, tp.base = keepCommands, int64Of(row[t.index("created_at")])+postgresEpoch*million
	}
	return tp, err
}

// timeOfEvent is when the event of an inbox row happened.
func (p *places) timeOfEvent(t *table, row []field) (int64, error) {
	id := uuid.UUID(row[t.index("event_id")])
	at, known := p.eventAt[id]
	if !known {
		return 0, fmt.Errorf("%s has the event %s, which the gateway has not", t, id)
	}
	return at, nil
}

// counted are the columns that rise with every row, or say what is left after all orders.
var counted = map[string]what{
	"gateway.event.kafka_offset": counter,
	"payment.points.balance":     balance, "stock.product.quantity": quantity, "coupon.coupon_policy.issued": issued,
}

// find lists the patches of one value.
func (p *places) find(t *table, col column, c class, row []field, f field) []patch {
	if w, is := counted[t.String()+"."+col.name]; is || col.identity {
		return []patch{{size: 8, what: w2(w, is)}}
	}
	switch {
	case col.oid == pgtype.UUIDOID:
		id := uuid.UUID(f)
		return []patch{{size: 16, what: aUUID, id: id, token: p.token(c, id.String())}}
	case col.oid == pgtype.TimestamptzOID:
		us := int64Of(f)
		if !p.moment(time.UnixMicro(us + postgresEpoch*million)) {
			return nil
		}
		return []patch{{size: 8, what: micros, base: us}}
	case col.oid == pgtype.DateOID:
		at, err := p.timeOfEvent(t, row)
		if err != nil {
			return nil // template says so
		}
		return []patch{{size: 4, what: day, base: at}}
	case isText(col.oid):
		return append(p.findIDs(c, f), p.findTimes(f)...)
	}
	return nil
}

func w2(w what, is bool) what {
	if is {
		return w
	}
	return counter
}

var (
	traceText    = regexp.MustCompile(`00-([0-9a-f]{32})-([0-9a-f]{16})-0[0-9a-f]`)
	trackingText = regexp.MustCompile(`SIM([0-9]{15})`)
	clockText    = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}`)
)

// names are those that copies have another of: the part that differs is at the end.
var names = []struct {
	name string
	size int
	what what
}{{memberName, 6, member}, {addressName, 11, address}, {productName, 4, product}, {soldOutName, 4, product}, {policyName, 3, policy}}

// findIDs finds ids and names among characters.
func (p *places) findIDs(c class, f field) []patch {
	var found []patch
	for _, at := range uuidText.FindAllIndex(f, -1) {
		if text := string(f[at[0]:at[1]]); text != addressName {
			found = append(found, patch{at: at[0], size: 36, what: aUUIDText, id: uuid.MustParse(text), token: p.token(c, text)})
		}
	}
	for _, at := range traceText.FindAllSubmatchIndex(f, -1) {
		for _, part := range [][]int{at[2:4], at[4:6]} {
			found = append(found, patch{at: part[0], size: part[1] - part[0], what: aHex, token: p.token(c, string(f[part[0]:part[1]]))})
		}
	}
	for _, at := range trackingText.FindAllSubmatchIndex(f, -1) {
		found = append(found, patch{at: at[2], size: 15, what: digits, token: p.token(c, string(f[at[2]:at[3]]))})
	}
	for _, n := range names {
		for from := 0; ; {
			i := bytes.Index(f[from:], []byte(n.name))
			if i < 0 {
				break
			}
			from += i + len(n.name)
			found = append(found, patch{at: from - n.size, size: n.size, what: n.what})
		}
	}
	return found
}

// findTimes finds times in JSON and in protobuf messages. A Timestamp is its field 1, a varint of seconds, and the
// nanoseconds: whole seconds are what a copy moves by, so the rest stays.
func (p *places) findTimes(f field) []patch {
	var found []patch
	for _, at := range clockText.FindAllIndex(f, -1) {
		t, err := time.Parse("2006-01-02T15:04:05", string(f[at[0]:at[1]]))
		if err == nil && p.moment(t) {
			found = append(found, patch{at: at[0], size: 19, what: clock, base: t.Unix()})
		}
	}
	for at := 0; at+6 <= len(f); at++ {
		if f[at] != 0x08 {
			continue
		}
		s, n := binary.Uvarint(f[at+1:])
		if n == 5 && p.moment(time.Unix(int64(s), 0)) {
			found = append(found, patch{at: at + 1, size: 5, what: seconds, base: int64(s)})
		}
	}
	return found
}

// copied is one copy: of an order, a member, a product or a policy.
type copied struct {
	class                   class
	number                  int
	at                      int64 // Unix seconds at which its recording begins
	member, product, policy int
}

// writer makes copies of a table's rows.
type writer struct {
	seed  uint64
	from  int64 // Unix seconds at which the recording of each class began is moved to copied.at
	sums  *sums
	count int64 // of the last row with a counter
}

// append adds a copy of the row.
func (w *writer) append(to []byte, tp *template, c *copied) []byte {
	at := len(to)
	to = append(to, tp.bytes...)
	row := to[at:]
	shift := c.at - w.from
	for i := range tp.patches {
		w.patch(row, &tp.patches[i], c, shift)
	}
	return to
}

func (w *writer) patch(row []byte, p *patch, c *copied, shift int64) {
	place := row[p.at : p.at+p.size]
	switch p.what {
	case aUUID:
		w.uuid(place, p, c, shift)
	case aUUIDText:
		var id uuid.UUID
		w.uuid(id[:], p, c, shift)
		writeUUID(place, id)
	case aHex:
		writeHex(place, w.random(p, c))
	case digits:
		writeDigits(place, int64(w.random(p, c)>>14))
	case micros:
		binary.BigEndian.PutUint64(place, uint64(p.base+shift*million))
	case day:
		binary.BigEndian.PutUint32(place, uint32((p.base/million+shift-postgresEpoch)/86_400))
	case clock:
		copy(place, time.Unix(p.base+shift, 0).UTC().AppendFormat(make([]byte, 0, 32), "2006-01-02T15:04:05"))
	case seconds:
		binary.PutUvarint(place, uint64(p.base+shift))
	case member, address:
		writeDigits(place, int64(c.member))
	case product:
		writeDigits(place, int64(c.product))
	case policy:
		writeDigits(place, int64(c.policy))
	default:
		w.number(place, p.what, c)
	}
}

// number writes what is counted.
func (w *writer) number(place []byte, what what, c *copied) {
	var n int64
	switch what {
	case balance:
		n = w.sums.balance[c.member]
	case quantity:
		n = w.sums.quantity[c.product]
	case issued:
		n = w.sums.issued[c.policy]
	default:
		n = w.count
	}
	binary.BigEndian.PutUint64(place, uint64(n))
}

// random is the same for all places where the copy has the same id.
func (w *writer) random(p *patch, c *copied) uint64 {
	return mix(w.seed^uint64(c.class+4)<<8^uint64(p.token)<<16, uint64(c.number))
}

// uuid moves the time in a version 7 id, and leaves version and variant.
func (w *writer) uuid(to []byte, p *patch, c *copied, shift int64) {
	r := w.random(p, c)
	copy(to, p.id[:])
	if p.id.Version() == 7 {
		ms := binary.BigEndian.Uint64(p.id[:]) >> 16
		binary.BigEndian.PutUint64(to, (ms+uint64(shift*1000))<<16|uint64(p.id[6])<<8)
	} else {
		binary.BigEndian.PutUint32(to, uint32(r>>7))
	}
	to[6] = p.id[6]&0xf0 | byte(r)&0x0f
	to[7] = byte(r >> 4)
	binary.BigEndian.PutUint64(to[8:], mix(r, 1))
	to[8] = p.id[8]&0xc0 | to[8]&0x3f
}

func writeUUID(to []byte, id uuid.UUID) {
	hex.Encode(to, id[:4])
	hex.Encode(to[9:], id[4:6])
	hex.Encode(to[14:], id[6:8])
	hex.Encode(to[19:], id[8:10])
	hex.Encode(to[24:], id[10:])
}

func writeHex(to []byte, r uint64) {
	const alphabet = "0123456789abcdef"
	for i := range to {
		if i == 16 {
			r = mix(r, 1)
		}
		to[i] = alphabet[r>>(i%16*4)&15]
	}
}

// writeDigits writes the last digits of a number.
func writeDigits(to []byte, n int64) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = '0' + byte(n%10)
		n /= 10
	}
}
