package history

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// class tells what a recorded row belongs to, and comes again with every copy of: an order of a kind (its index in
// kinds), or one of these.
type class int

const (
	ofMember class = iota - 3
	ofProduct
	ofPolicy
	ofNobody class = -4
)

var uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// uuidsOf lists the ids in a row, as text, but for the address, which is its member's.
func uuidsOf(t *table, row []field) []string {
	var ids []string
	for i, f := range row {
		switch {
		case f == nil:
		case t.columns[i].oid == pgtype.UUIDOID:
			ids = append(ids, uuid.UUID(f).String())
		case isText(t.columns[i].oid):
			for _, id := range uuidText.FindAll(f, -1) {
				if string(id) != addressName {
					ids = append(ids, string(id))
				}
			}
		}
	}
	return ids
}

// mentions says whether a row has the name in one of its values.
func mentions(t *table, row []field, name string) bool {
	for i, f := range row {
		if f != nil && isText(t.columns[i].oid) && bytes.Contains(f, []byte(name)) {
			return true
		}
	}
	return false
}

// owners tells for every id in the rows whose it is.
type owners struct {
	class map[string]class
	filed map[string]bool // the ids of the gateway's events
}

// newOwners begins with the orders' own ids and takes what stands in the gateway's events: all ids in an order's
// event are that order's, its coupon's and its commands' among them, and so are those in an event of a product.
func newOwners(tables []*table, orders []string) (owners, error) {
	o := owners{class: map[string]class{}, filed: map[string]bool{}}
	for k, id := range orders {
		o.class[id] = class(k)
	}
	for _, t := range tables {
		if t.String() != "gateway.event" {
			continue
		}
		id, subject := t.index("id"), t.index("subject")
		for _, row := range t.rows {
			o.filed[uuid.UUID(row[id]).String()] = true
			c, isOrder := o.class[string(row[subject])]
			if !isOrder {
				c = ofProduct
				if bytes.Contains(row[subject], []byte(soldOutName)) {
					c = ofNobody
				}
			}
			for _, id := range uuidsOf(t, row) {
				if before, known := o.class[id]; known && before != c {
					return owners{}, fmt.Errorf("%s stands in events of two orders", id)
				}
				o.class[id] = c
			}
		}
	}
	return o, nil
}

// restricted says whether a row remembers an event that the gateway does not file, one of member.v1. It came before every
// order and is none's; when it happened stands nowhere, and a copy could not be given its day. The member's own
// rows name the event as their root: to those who know them it would be the member's, so this is asked first.
func (o owners) restricted(t *table, row []field) bool {
	return t.name == "inbox" && !o.filed[uuid.UUID(row[t.index("event_id")]).String()]
}

// of finds out whose a row is, and takes note of the ids in it.
func (o owners) of(t *table, row []field) (class, error) {
	if o.restricted(t, row) {
		return ofNobody, nil
	}
	c, found := ofNobody, false
	ids := uuidsOf(t, row)
	for _, id := range ids {
		k, known := o.class[id]
		if known && found && k != c {
			return 0, fmt.Errorf("a row of %s belongs to two orders or goods: %q", t, row)
		}
		if known {
			c, found = k, true
		}
	}
	if !found {
		switch {
		case mentions(t, row, soldOutName):
			return ofNobody, nil
		case mentions(t, row, policyName):
			c = ofPolicy
		case mentions(t, row, productName):
			c = ofProduct
		case mentions(t, row, memberName):
			c = ofMember
		default:
			return 0, fmt.Errorf("a row of %s belongs to nobody: %q", t, row)
		}
	}
	for _, id := range ids {
		o.class[id] = c
	}
	return c, nil
}
