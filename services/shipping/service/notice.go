package service

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/services/shipping"
	"github.com/quadrille-io/quadrille/services/shipping/internal/store"
)

// heardFor is how long a parcel in trouble is worth telling, unless it gets out of it: by then a person has heard.
const heardFor = 24 * time.Hour

// notices lists the parcels that need a person: of which the carrier tells nothing any more, and those it says something is
// the matter with. The order is not told: nothing goes back after a dispatch.
func notices(silence time.Duration) host.NoticesFunc {
	return func(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
		quiet, err := store.Silent(ctx, pool, silence)
		if err != nil {
			return nil, err
		}
		all, err := troubled(ctx, pool)
		if err != nil || quiet.Count == 0 {
			return all, err
		}
		return append(all, host.Notice{
			Group: "parcel/silent", Text: "The carrier has not told anything new of these parcels for " + silence.String() + ": ask it where they are.",
			Subjects: quiet.Orders, Count: quiet.Count, Since: quiet.Since,
		}), nil
	}
}

func troubled(ctx context.Context, pool *pgxpool.Pool) ([]host.Notice, error) {
	var all []host.Notice
	for _, n := range []struct {
		state       shipping.Tracking
		group, text string
	}{
		{shipping.TrackInTrouble, "parcel/undeliverable", "The carrier could not deliver these parcels and does not go on by itself: ask it what is the matter."},
		{shipping.TrackLost, "parcel/lost", "The carrier has lost these parcels: claim them there, and send the goods again or pay them back by hand."},
		{shipping.TrackSentBack, "parcel/returned", "These parcels come back: receive them, and send the goods again or pay them back by hand."},
	} {
		t, err := store.InTrouble(ctx, pool, n.state, heardFor)
		if err != nil {
			return nil, err
		}
		if t.Count > 0 {
			all = append(all, host.Notice{Group: n.group, Text: n.text, Subjects: t.Orders, Count: t.Count, Since: t.Since})
		}
	}
	return all, nil
}
