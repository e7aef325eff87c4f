package service

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quadrille-io/quadrille/pkg/engine"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/member"
	"github.com/quadrille-io/quadrille/services/member/internal/store"
	"github.com/quadrille-io/quadrille/services/member/seed"
)

// importer puts the members of MEMBERS_FILE there, by commands like anybody's. Who is there already stays as they are,
// so it may run at every start, and in several replicas at once.
type importer struct{ edge *edge }

// importAtOnce is how many commands are under way: enough to fill a transaction.
const importAtOnce = 256

// start returns once the members are there. What may pass by itself is tried again until ctx ends.
func (i *importer) start(ctx context.Context) error {
	members, err := seed.Load(i.edge.cfg.MembersFile)
	if err != nil {
		return err
	}
	for len(members) > 0 {
		err := i.all(ctx, members)
		if err == nil {
			return nil
		}
		i.edge.host.Log.WarnContext(ctx, "members are not imported yet", "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("import members: %w", ctx.Err())
		case <-time.After(time.Second):
		}
	}
	return nil
}

func (i *importer) all(ctx context.Context, members []*memberv1.MemberChanged) error {
	ids := make([]string, len(members))
	for n, m := range members {
		ids[n] = m.GetMemberId()
	}
	known, err := store.Known(ctx, i.edge.host.Pool, ids)
	if err != nil || len(known) == len(ids) {
		return err
	}
	hash := ""
	if password := i.edge.cfg.SeedPassword.Reveal(); password != "" {
		// One for all: it is no secret, or it would not be in the environment.
		if hash, err = i.edge.hasher.Hash(ctx, password); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(importAtOnce)
	for _, m := range members {
		if known[m.GetMemberId()] {
			continue
		}
		g.Go(func() error {
			answer, err := i.edge.host.Engine.Do(ctx, engine.Request{Member: "import", Command: member.Import{Member: imported(m, i.edge.cfg.DefaultLanguage, hash)}})
			if err == nil && answer.Refusal != nil {
				err = answer.Refusal
			}
			if err != nil {
				return fmt.Errorf("import member %s: %w", m.GetMemberId(), err)
			}
			return nil
		})
	}
	return g.Wait()
}

func imported(m *memberv1.MemberChanged, language, hash string) member.Member {
	x := member.Member{
		MemberID: m.GetMemberId(), Name: m.GetName(), Email: m.GetEmail(), Phone: m.GetPhone(), Language: m.GetLanguage(),
		PasswordHash: hash,
	}
	if x.Language == "" {
		x.Language = language
	}
	for _, a := range m.GetAddresses() {
		x.Addresses = append(x.Addresses, member.Address{
			AddressID: a.GetAddressId(), Name: a.GetName(), Phone: a.GetPhone(), Line1: a.GetLine1(), Line2: a.GetLine2(),
			City: a.GetCity(), PostalCode: a.GetPostalCode(), Country: a.GetCountry(), Default: a.GetDefault(),
		})
	}
	return x
}
