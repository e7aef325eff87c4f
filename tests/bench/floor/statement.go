package floor

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// column is one column of a statement and where its values come from: an array with one value for every
// order of a batch, one value for the whole batch, or SQL that needs no parameter.
type column struct {
	name string
	// each collects an array of the type, cast to cast if that is set.
	each  func(*batch) any
	kind  string
	cast  string
	once  func(*batch) any
	value string
}

func array[T any](kind string, at func(*order) T) func(*batch) any {
	return func(b *batch) any {
		values := make([]T, len(b.orders))
		for i := range b.orders {
			values[i] = at(&b.orders[i])
		}
		return values
	}
}

func text(name string, at func(*order) string) column {
	return column{name: name, kind: "text[]", each: array("text[]", at)}
}

func json(name string, at func(*order) string) column {
	c := text(name, at)
	c.cast = "::jsonb"
	return c
}

func bytes(name string, at func(*order) []byte) column {
	return column{name: name, kind: "bytea[]", each: array("bytea[]", at)}
}

func number(name string, at func(*order) int64) column {
	return column{name: name, kind: "bigint[]", each: array("bigint[]", at)}
}

func id(name string, at func(*order) pgtype.UUID) column {
	return column{name: name, kind: "uuid[]", each: array("uuid[]", at)}
}

// now is the batch's time, plus some.
func now(name string, plus time.Duration) column {
	return column{name: name, kind: "timestamptz", once: func(b *batch) any { return b.at.Add(plus) }}
}

func today(name string) column {
	return column{name: name, kind: "date", once: func(b *batch) any { return b.at.Truncate(24 * time.Hour) }}
}

// same is SQL for every row.
func same(name, sql string) column { return column{name: name, value: sql} }

// words and numbers are columns with the same text and the same number in every row.
func words(value string, names ...string) []column {
	return constants("'"+value+"'", names)
}

func constants(sql string, names []string) []column {
	list := make([]column, len(names))
	for i, name := range names {
		list[i] = same(name, sql)
	}
	return list
}

// statement is SQL for a whole batch.
type statement struct {
	sql  string
	args []func(*batch) any
}

// source turns columns into the parts of a statement: the expression of each, and unnest over those that
// differ from row to row.
func source(columns []column) (values []string, from string, args []func(*batch) any) {
	var arrays, names []string
	for _, c := range columns {
		switch {
		case c.each != nil:
			args = append(args, c.each)
			arrays, names = append(arrays, fmt.Sprintf("$%d::%s", len(args), c.kind)), append(names, c.name)
			values = append(values, "k."+c.name+c.cast)
		case c.once != nil:
			args = append(args, c.once)
			values = append(values, fmt.Sprintf("$%d::%s", len(args), c.kind))
		default:
			values = append(values, c.value)
		}
	}
	return values, "unnest(" + strings.Join(arrays, ", ") + ") AS k(" + strings.Join(names, ", ") + ")", args
}

// insert adds a row for every order.
func insert(table string, columns ...column) statement {
	values, from, args := source(columns)
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return statement{
		sql: "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") SELECT " + strings.Join(values, ", ") +
			" FROM " + from,
		args: args,
	}
}

// update changes the row of every order, found by key. Only what differs from the row before is set: the row
// that is written is the same.
func update(table string, key column, columns ...column) statement {
	values, from, args := source(append([]column{key}, columns...))
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = c.name + " = " + values[i+1]
	}
	return statement{
		sql: "UPDATE " + table + " AS t SET " + strings.Join(sets, ", ") + " FROM " + from +
			" WHERE t." + key.name + " = k." + key.name,
		args: args,
	}
}
