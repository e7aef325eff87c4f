package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/pg"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/internal/rig"
	"github.com/quadrille-io/quadrille/services/mailer"
	"github.com/quadrille-io/quadrille/services/mailer/internal/store"
)

func contact(t *testing.T, pool *pgxpool.Pool, id string) (c store.Contact, there bool) {
	t.Helper()
	all, err := store.Contacts(t.Context(), pool, []string{id})
	if err != nil {
		t.Fatal(err)
	}
	c, there = all[id]
	return c, there
}

func put(t *testing.T, pool *pgxpool.Pool, m *memberv1.MemberChanged) {
	t.Helper()
	if err := meet(t.Context(), pool, m); err != nil {
		t.Fatal(err)
	}
}

// meet is a batch of members' events.
func meet(ctx context.Context, pool *pgxpool.Pool, messages ...any) error {
	return pg.Transact(ctx, pool, func(tx *pg.Tx) error {
		w := &mailer.World{}
		for _, m := range messages {
			if _, err := mailer.Topology.Decide(w, input(m)); err != nil {
				return err
			}
		}
		return store.Store{}.Save(tx.Last(), w)
	})
}

// An erased member leaves nothing, and nothing that comes late brings anything back.
func TestErased(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	kim := func(at time.Time) *memberv1.MemberChanged {
		return &memberv1.MemberChanged{MemberId: "kim", Email: "canary@example.com", Name: "canary", Language: "canary", ChangedAt: timestamppb.New(at)}
	}
	gone := flow.Erased[*memberv1.MemberChanged]{SubjectID: "kim"}
	for i, batch := range [][]any{
		{kim(noon)}, {gone}, {gone}, {kim(noon.Add(time.Hour))}, {kim(noon.Add(2 * time.Hour)), gone, kim(noon.Add(3 * time.Hour))},
	} {
		if err := meet(t.Context(), pool, batch...); err != nil {
			t.Fatal(err)
		}
		var rows, canaries int
		if err := pool.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE c::text LIKE '%canary%') FROM contact c`).Scan(&rows, &canaries); err != nil {
			t.Fatal(err)
		}
		_, there := contact(t, pool, "kim")
		if want := i == 0; there != want || (canaries > 0) != want || rows != 1 {
			t.Errorf("after batch %d: %d rows, %d with a canary, a contact: %v", i, rows, canaries, there)
		}
	}
}

func bury(t *testing.T, pool *pgxpool.Pool, dead ...mailer.DeadAddress) {
	t.Helper()
	rig.Transact(t, pool, func(_ context.Context, tx *pg.Tx) error {
		return store.Store{}.Save(tx.Last(), &mailer.World{Dead: dead})
	})
}

// Nothing is sent to an address that mails came back from, until the member has another one. A mail that comes back late,
// from the address before, says nothing of it; nor does a change of anything but the address bring it back.
func TestDeadAddress(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	kim := &memberv1.MemberChanged{MemberId: "kim", Email: "old@example.com", ChangedAt: timestamppb.New(noon)}
	put(t, pool, kim)
	first, _ := contact(t, pool, "kim")
	if n := batch(t, pool, facts("order-1")...); n != len(mailer.Kinds()) {
		t.Fatalf("%d mails were asked for", n)
	}
	batch(t, pool, mailer.Mailed{OrderID: "order-1", Kind: mailer.Completed, Outcome: mailer.IsSent, AddressSince: first.Since},
		mailer.Bounce{OrderID: "order-1", Kind: mailer.Completed, Code: "5.1.1"})
	if c, there := contact(t, pool, "kim"); there {
		t.Errorf("a dead address is written to: %+v", c)
	}
	if n := batch(t, pool, facts("order-2")...); n != 0 {
		t.Errorf("%d mails were asked for to a dead address", n)
	}
	kim.Name, kim.ChangedAt = "Kim", timestamppb.New(noon.Add(time.Minute))
	put(t, pool, kim)
	if _, there := contact(t, pool, "kim"); there {
		t.Error("another name made the address good")
	}
	kim.Email = "new@example.com"
	put(t, pool, kim)
	second, there := contact(t, pool, "kim")
	if !there || second.Email != "new@example.com" || !second.Since.After(first.Since) {
		t.Fatalf("the new address is not written to: %v %+v", there, second)
	}
	bury(t, pool, mailer.DeadAddress{UserID: "kim", Since: first.Since, Code: "5.1.1"})
	if _, there := contact(t, pool, "kim"); !there {
		t.Error("a mail to the old address buried the new one")
	}
	if n := batch(t, pool, facts("order-3")...); n != len(mailer.Kinds()) {
		t.Errorf("%d mails were asked for to the new address", n)
	}
	bury(t, pool, mailer.DeadAddress{UserID: "kim", Since: second.Since, Code: "5.1.1"},
		mailer.DeadAddress{UserID: "kim", Since: second.Since, Code: "5.2.1"}, mailer.DeadAddress{UserID: "nobody", Since: noon, Code: "5.1.1"})
	if _, there := contact(t, pool, "kim"); there {
		t.Error("the new address is not buried")
	}
}

// Many that bury and change the same contacts at once, in any order, do not lock each other out.
func TestBuryAtOnce(t *testing.T) {
	t.Parallel()
	pool := rig.Database(t, store.Migrate)
	const members = 20
	var dead []mailer.DeadAddress
	var changed []any
	for i := range members {
		m := &memberv1.MemberChanged{MemberId: fmt.Sprintf("member-%02d", i), Email: "a@example.com", ChangedAt: timestamppb.New(noon)}
		changed = append(changed, m)
		put(t, pool, m)
		c, _ := contact(t, pool, m.GetMemberId())
		dead = append(dead, mailer.DeadAddress{UserID: m.GetMemberId(), Since: c.Since, Code: "5.1.1"})
	}
	backwards := make([]mailer.DeadAddress, 0, members)
	for i := range dead {
		backwards = append(backwards, dead[members-1-i])
	}
	var burying sync.WaitGroup
	for i := range 12 {
		burying.Go(func() {
			err := error(nil)
			switch i % 3 {
			case 0:
				err = meet(t.Context(), pool, changed...)
			default:
				w := &mailer.World{Dead: [][]mailer.DeadAddress{dead, backwards}[i%2]}
				err = pg.Transact(t.Context(), pool, func(tx *pg.Tx) error { return store.Store{}.Save(tx.Last(), w) })
			}
			if err != nil {
				t.Errorf("bury: %v", err)
			}
		})
	}
	burying.Wait()
	for _, d := range dead {
		if _, there := contact(t, pool, d.UserID); there {
			t.Errorf("%s is written to", d.UserID)
		}
	}
}
