package history

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// recording is what one order of each kind, and the goods they needed, have left in every table.
type recording struct {
	tables []*recorded
	// began is when each class began, Unix seconds: that moment becomes the copy's.
	began map[class]int64
}

// recorded is a table's part.
type recorded struct {
	*table
	rows map[class][]template
}

// newRecording plays the orders in the studio and reads what they left.
func newRecording(ctx context.Context, s *studio) (*recording, error) {
	from := time.Now().Add(-time.Hour)
	ids, err := s.play(ctx)
	if err != nil {
		return nil, err
	}
	var tables []*table
	for _, name := range services() {
		t, err := record(ctx, name, s.urls[name])
		if err != nil {
			return nil, err
		}
		tables = append(tables, t...)
	}
	r := &recording{began: map[class]int64{}}
	p := &places{tokens: map[class]map[string]int{}, from: from, to: time.Now().Add(time.Hour), eventAt: timesOfEvents(tables)}
	return r, r.sort(tables, ids, p)
}

// sort gives every row to its class.
func (r *recording) sort(tables []*table, ids []string, p *places) error {
	o, err := newOwners(tables, ids)
	if err != nil {
		return fmt.Errorf("record orders: %w", err)
	}
	for k, id := range ids {
		sec, nsec := uuid.MustParse(id).Time().UnixTime()
		r.began[class(k)] = time.Unix(sec, nsec).Unix()
	}
	for _, c := range []class{ofMember, ofProduct, ofPolicy} {
		r.began[c] = r.began[0]
	}
	for _, t := range tables {
		rec := &recorded{table: t, rows: map[class][]template{}}
		for _, row := range t.rows {
			c, err := o.of(t, row)
			if err != nil {
				return fmt.Errorf("record orders: %w", err)
			}
			if c == ofNobody {
				continue // it has no copies
			}
			tp, err := p.template(t, c, row)
			if err != nil {
				return fmt.Errorf("record orders: %w", err)
			}
			rec.rows[c] = append(rec.rows[c], tp)
		}
		r.tables = append(r.tables, rec)
	}
	return nil
}

// timesOfEvents are the gateway's, in microseconds (Unix).
func timesOfEvents(tables []*table) map[uuid.UUID]int64 {
	at := map[uuid.UUID]int64{}
	for _, t := range tables {
		if t.String() != "gateway.event" {
			continue
		}
		id, occurred := t.index("id"), t.index("occurred_at")
		for _, row := range t.rows {
			at[uuid.UUID(row[id])] = int64Of(row[occurred]) + postgresEpoch*million
		}
	}
	return at
}

// hasAny says whether copies of anything leave rows in the table.
func (r *recorded) hasAny() bool { return len(r.rows) > 0 }

// serial is the identity column that its rows count, "" if none.
func (r *recorded) serial() string {
	for _, c := range r.columns {
		if c.identity {
			return c.name
		}
	}
	return ""
}

// ofMembers says whether a table, "service.table", has rows of every member.
func (r *recording) ofMembers(name string) bool {
	for _, t := range r.tables {
		if t.String() == name {
			return len(t.rows[ofMember]) > 0
		}
	}
	return false
}
