package payment

import (
	"cmp"
	"slices"
)

// Summary adds the money up, for checks that none was lost or made.
type Summary struct {
	Totals     []Total     `json:"totals"`     // one per currency
	References []Reference `json:"references"` // one per reference (order id) and currency
}

// Total is all the money in one currency, in minor units.
type Total struct {
	Currency string `json:"currency"`
	Charged  int64  `json:"charged"`
	Refunded int64  `json:"refunded"`
	Charges  int    `json:"charges"`
}

// Reference is the money of one order, in minor units. More than one charge is
// a double charge.
type Reference struct {
	Reference string `json:"reference"`
	Currency  string `json:"currency"`
	Charged   int64  `json:"charged"`
	Refunded  int64  `json:"refunded"`
	Charges   int    `json:"charges"`
}

// summary adds up all captured charges, or those of one reference.
func (l *ledger) summary(reference string) (s Summary, err error) {
	type line struct{ reference, currency string }
	totals, references := map[string]*Total{}, map[line]*Reference{}
	err = l.settle(func() error {
		for _, c := range l.order {
			if reference != "" && c.Reference != reference {
				continue
			}
			t := totals[c.Currency]
			if t == nil {
				t = &Total{Currency: c.Currency}
				totals[c.Currency] = t
			}
			at := line{c.Reference, c.Currency}
			r := references[at]
			if r == nil {
				r = &Reference{Reference: c.Reference, Currency: c.Currency}
				references[at] = r
			}
			t.Charged, t.Refunded, t.Charges = t.Charged+c.Amount, t.Refunded+c.Refunded, t.Charges+1
			r.Charged, r.Refunded, r.Charges = r.Charged+c.Amount, r.Refunded+c.Refunded, r.Charges+1
		}
		return nil
	})
	s = Summary{Totals: make([]Total, 0, len(totals)), References: make([]Reference, 0, len(references))}
	for _, t := range totals {
		s.Totals = append(s.Totals, *t)
	}
	for _, r := range references {
		s.References = append(s.References, *r)
	}
	slices.SortFunc(s.Totals, func(a, b Total) int { return cmp.Compare(a.Currency, b.Currency) })
	slices.SortFunc(s.References, func(a, b Reference) int {
		return cmp.Or(cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.Currency, b.Currency))
	})
	return s, err
}
