package history

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// field is one value of a row as PostgreSQL's binary COPY writes it; nil is NULL.
type field []byte

// column of a table.
type column struct {
	name     string
	oid      uint32
	identity bool
}

// table is one table of one service, with the rows that were recorded.
type table struct {
	service, name string
	columns       []column
	partitioned   bool
	rows          [][]field
}

func (t *table) String() string { return t.service + "." + t.name }

// index finds a column; -1 is none.
func (t *table) index(name string) int {
	for i, c := range t.columns {
		if c.name == name {
			return i
		}
	}
	return -1
}

func (t *table) columnList() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = pgx.Identifier{c.name}.Sanitize()
	}
	return strings.Join(names, ", ")
}

func (t *table) quoted() string { return pgx.Identifier{t.name}.Sanitize() }

// passing are the tables of which a finished order leaves nothing for long: queues, marks of how far topics are
// read (of topics that are others in the target), what operators did in the studio, and versions of the schema.
var passing = map[string]bool{
	"fence": true, "outbox": true, "failure": true, "parked_event": true, "notice": true, "recent": true,
	"reading_start": true, "finding": true, "difference": true, "reconciliation": true, "audit": true,
	"engine_migration": true, "outbox_migration": true, "service_migration": true,
}

// mustBeEmpty are those of them in which a row says that the recording went wrong.
var mustBeEmpty = map[string]bool{"outbox": true, "failure": true, "parked_event": true, "finding": true, "difference": true}

// record reads every row of a service's database.
func record(ctx context.Context, service, url string) (_ []*table, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", service, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it has only read
	tables, err := listTables(ctx, conn, service)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", service, err)
	}
	var kept []*table
	for _, t := range tables {
		if err := t.read(ctx, conn); err != nil {
			return nil, fmt.Errorf("record %s: %w", t, err)
		}
		if mustBeEmpty[t.name] && len(t.rows) > 0 {
			return nil, fmt.Errorf("record %s: it has %d rows after orders that came to their ends", t, len(t.rows))
		}
		if !passing[t.name] {
			kept = append(kept, t)
		}
	}
	return kept, nil
}

// listTables lists the tables of the database with their columns; partitions belong to their table.
func listTables(ctx context.Context, conn *pgx.Conn, service string) ([]*table, error) {
	rows, err := conn.Query(ctx, `
		SELECT c.relname, c.relkind = 'p', a.attname, a.atttypid, a.attidentity <> ''
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
			AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		ORDER BY c.relname, a.attnum`)
	if err != nil {
		return nil, err
	}
	var tables []*table
	var name string
	var partitioned bool
	var c column
	_, err = pgx.ForEachRow(rows, []any{&name, &partitioned, &c.name, &c.oid, &c.identity}, func() error {
		if len(tables) == 0 || tables[len(tables)-1].name != name {
			tables = append(tables, &table{service: service, name: name, partitioned: partitioned})
		}
		t := tables[len(tables)-1]
		t.columns = append(t.columns, c)
		return nil
	})
	return tables, err
}

// read takes the rows in the order in which they came, where the table has one.
func (t *table) read(ctx context.Context, conn *pgx.Conn) error {
	order := ""
	for _, c := range t.columns {
		if c.identity {
			order = " ORDER BY " + pgx.Identifier{c.name}.Sanitize()
		}
	}
	var raw bytes.Buffer
	sql := fmt.Sprintf("COPY (SELECT %s FROM %s%s) TO STDOUT (FORMAT binary)", t.columnList(), t.quoted(), order)
	if _, err := conn.PgConn().CopyTo(ctx, &raw, sql); err != nil {
		return err
	}
	var err error
	t.rows, err = parseCopy(raw.Bytes())
	return err
}

// copyHeader begins a binary COPY: its signature, no flags, no extension.
var copyHeader = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")

// copyTrailer ends it.
var copyTrailer = []byte{0xff, 0xff}

var errShortCopy = errors.New("a binary COPY that ends too early")

// parseCopy reads a binary COPY.
func parseCopy(raw []byte) ([][]field, error) {
	raw, ok := bytes.CutPrefix(raw, copyHeader)
	if !ok {
		return nil, errors.New("no binary COPY")
	}
	var rows [][]field
	for {
		if len(raw) < 2 {
			return nil, errShortCopy
		}
		n := int16(binary.BigEndian.Uint16(raw)) // the format's -1
		raw = raw[2:]
		if n == -1 {
			return rows, nil
		}
		row := make([]field, n)
		for i := range row {
			if len(raw) < 4 {
				return nil, errShortCopy
			}
			size := int(int32(binary.BigEndian.Uint32(raw))) // the format's -1
			raw = raw[4:]
			if size == -1 {
				continue
			}
			if len(raw) < size {
				return nil, errShortCopy
			}
			row[i], raw = append(field{}, raw[:size]...), raw[size:]
		}
		rows = append(rows, row)
	}
}

// int64Of reads an eight-byte value: bigint, or a timestamp's microseconds.
func int64Of(f field) int64 { return int64(binary.BigEndian.Uint64(f)) } // two's complement, as PostgreSQL writes it

// isText says whether a value's bytes are characters, or may have some among them.
func isText(oid uint32) bool {
	switch oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.JSONBOID, pgtype.JSONOID, pgtype.ByteaOID, pgtype.TextArrayOID:
		return true
	}
	return false
}
