package service

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/stock"
	"github.com/quadrille-io/quadrille/services/stock/internal/store"
)

// lookThrough is how many orders one page of a ledger looks through: a fraction of a second.
const lookThrough = 20_000

// movement is a line of a product's ledger as the API shows it.
type movement struct {
	MovementID string `json:"movementId"`
	// OrderID of what an order took or gave back, else null.
	OrderID *string            `json:"orderId"`
	Kind    stock.MovementKind `json:"kind"`
	Amount  int64              `json:"amount"`
	Reason  *string            `json:"reason"`
	At      time.Time          `json:"at"`
}

// ledger is one page. Next is what to ask for next: a page may be shorter than the limit, or empty, and not the last.
type ledger struct {
	Data    []movement `json:"data"`
	HasMore bool       `json:"hasMore"`
	Next    *string    `json:"next"`
}

func ledgerOf(found store.Ledger, limit int) ledger {
	l := ledger{Data: []movement{}}
	for i, e := range found.Entries {
		if i == limit {
			l.HasMore, l.Next = true, &l.Data[i-1].MovementID
			return l
		}
		m := movement{MovementID: e.ID + "." + string(e.Kind), Kind: e.Kind, Amount: e.Amount, At: e.At}
		if e.Kind == stock.MovedTaken || e.Kind == stock.MovedReturned {
			m.OrderID = &e.ID
		}
		if e.Reason != "" {
			m.Reason = &e.Reason
		}
		l.Data = append(l.Data, m)
	}
	if found.Scanned != "" {
		next := found.Scanned + behindAll
		l.HasMore, l.Next = true, &next
	}
	return l
}

// behindAll ends a cursor that is behind every movement of its id.
const behindAll = ".~"

// cursorOf reads a movementId, or a cursor.
func cursorOf(text string) (store.Cursor, bool) {
	if text == "" {
		return store.Cursor{}, true
	}
	id, kind, ok := strings.Cut(text, ".")
	if _, err := uuid.Parse(id); err != nil || !ok || !web.Printable(kind, 20) {
		return store.Cursor{}, false
	}
	return store.Cursor{ID: id, Kind: stock.MovementKind(kind)}, true
}
