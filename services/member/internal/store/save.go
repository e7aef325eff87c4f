package store

import (
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	"github.com/quadrille-io/quadrille/services/member"
)

type changes []flow.Change[string, member.Member]

// Save writes the members that changed, and their address books anew.
func (Store) Save(b *pg.Batch, w *member.World) error {
	if changed := changes(w.Members.Changed()); len(changed) > 0 {
		changed.saveMembers(b)
		changed.saveAddresses(b)
	}
	return nil
}

func (c changes) saveMembers(b *pg.Batch) {
	n := len(c)
	ids, names, emails, keys := make([]string, n), make([]string, n), make([]string, n), make([]*string, n)
	phones, languages, hashes := make([]string, n), make([]string, n), make([]string, n)
	erased, created, updated := make([]bool, n), make([]time.Time, n), make([]time.Time, n)
	for i, change := range c {
		x := change.Row
		ids[i], names[i], emails[i], phones[i], languages[i] = x.MemberID, x.Name, x.Email, x.Phone, x.Language
		if key := member.EmailKey(x.Email); key != "" {
			keys[i] = &key
		}
		hashes[i], erased[i], created[i], updated[i] = x.PasswordHash, x.Erased, x.CreatedAt, x.UpdatedAt
	}
	b.Queue("save members", `
		INSERT INTO member (member_id, name, email, email_key, phone, language, password_hash, erased, created_at, updated_at)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[],
			$9::timestamptz[], $10::timestamptz[])
		ON CONFLICT (member_id) DO UPDATE SET name = excluded.name, email = excluded.email, email_key = excluded.email_key,
			phone = excluded.phone, language = excluded.language, password_hash = excluded.password_hash,
			erased = excluded.erased, updated_at = excluded.updated_at`,
		ids, names, emails, keys, phones, languages, hashes, erased, created, updated)
}

// saveAddresses replaces whole books: a book is short and seldom changed, and no two rows of it ever stand beside each
// other that must not, as two defaults would while one is changed after the other.
func (c changes) saveAddresses(b *pg.Batch) {
	var owners, ids, members, names, phones, lines1, lines2, cities, codes, countries []string
	var places []int32
	var defaults []bool
	for _, change := range c {
		if !change.New {
			owners = append(owners, change.Key)
		}
		for i, a := range change.Row.Addresses {
			ids, members, places = append(ids, a.AddressID), append(members, change.Key), append(places, int32(i))
			names, phones = append(names, a.Name), append(phones, a.Phone)
			lines1, lines2, cities = append(lines1, a.Line1), append(lines2, a.Line2), append(cities, a.City)
			codes, countries, defaults = append(codes, a.PostalCode), append(countries, a.Country), append(defaults, a.Default)
		}
	}
	if len(owners) > 0 {
		b.Queue("replace address books", `DELETE FROM address WHERE member_id = ANY($1)`, owners)
	}
	if len(ids) == 0 {
		return
	}
	b.Queue("save addresses", `
		INSERT INTO address (address_id, member_id, place, name, phone, line1, line2, city, postal_code, country, is_default)
		SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
			$9::text[], $10::text[], $11::boolean[])`,
		ids, members, places, names, phones, lines1, lines2, cities, codes, countries, defaults)
}
