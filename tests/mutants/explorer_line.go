package mutants

import "strings"

// seededLines says which failures a seeded mistake is about, by what its name says. The others are about the
// choreography itself: who hears whom, and what an event has to carry.
func seededLines(name string) (lines []string) {
	for _, of := range seeded {
		for _, part := range of.parts {
			if strings.Contains(name, part) {
				lines = append(lines, of.line)
				break
			}
		}
	}
	return lines
}

// seeded are parts of the names of the explorer's seeded mistakes, by the line they are about.
var seeded = []struct {
	line  string
	parts []string
}{
	{"20", []string{"twice", "a second trigger", "repeated event again"}},
	{"25", []string{"tombstone", "after a payment without it", "does not cancel what has failed", "where nothing was taken", "nothing to give back", "forgets a cancel while it books", "forgets the cancel while it waits"}},
	{"26", []string{"stock gives back", "stock undoes what nobody"}},
	{"27", []string{"coupon is used again", "marked as used by nobody", "does not give back what a payment did not count", "gives back what the payment has counted", "keeps the points", "no ledger entry"}},
	{"29", []string{"guesses that", "unknown outcome for a decline", "unknown booking", "unknown cancel", "never asks about"}},
	{"30", []string{"unknown key for final", "never closes a key"}},
	{"31", []string{"does not believe the carrier", "does not wait for the carrier", "lets a charge complete what is being closed"}},
	{"32", []string{"goes back from SHIPPED", "ignores webhooks", "dispatches twice", "lets a late StockDecreased"}},
	{"33", []string{"completes what it has cancelled", "it has cancelled already", "cancels a completed order", "forgets that it has asked", "deadline cancel what is completed", "keeps a capture that nobody wants", "never cancels at the carrier", "ignores a cancel of what has left", "refuses a cancel in silence"}},
	{"34", []string{"never refunds", "unknown refund"}},
	{"35", []string{"its own deadline", "waives the coupon", "is deaf to"}},
	{"38", []string{"mailer mails"}},
}
