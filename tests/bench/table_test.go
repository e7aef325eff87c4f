package bench

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

// Every table that was written to is listed with what was done to its rows.
func TestWriteTables(t *testing.T) {
	t.Parallel()
	url := testkit.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`CREATE TABLE busy (id int, note text) WITH (fillfactor = 50)`,
		`CREATE TABLE quiet (id int)`,
		`INSERT INTO busy SELECT i FROM generate_series(1, 2000) i`,
		`UPDATE busy SET note = 'x' WHERE id <= 5`,
		`DELETE FROM busy WHERE id > 1997`,
		`INSERT INTO quiet VALUES (1)`,
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	// The statistics are there when the session has ended.
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	testkit.Eventually(t, patience, func() error {
		out.Reset()
		if _, err := writeTables(t.Context(), &out, "shop", url); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "shop.busy\t2000\t5\t5\t3\t") {
			return errBusy
		}
		return nil
	})
	if strings.Contains(out.String(), "quiet") {
		t.Errorf("a table that is as good as empty is listed:\n%s", &out)
	}
	sum := upkeep{1, 2, 3, 4}
	if sum.add(upkeep{10, 20, 30, 40}); sum != (upkeep{11, 22, 33, 44}) {
		t.Errorf("the sum is %+v", sum)
	}
}
