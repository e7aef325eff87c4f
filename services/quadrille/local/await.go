package local

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// memberTopic is where the member service tells of members.
const memberTopic = "member.v1"

// memberReaders keep copies of members.
var memberReaders = []string{"order", "shipping", "mailer"}

// AwaitMembers waits until those who keep copies of members know the ones that the member service began with: an order
// of theirs is refused before, as there is nowhere to send it. url is where a service's API is, token an operator's.
func AwaitMembers(ctx context.Context, url func(service string) string, token string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := membersKnown(ctx, url, token)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for members: %w: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// membersKnown says that nothing about members is on its way: first what is not published yet, then what is not read.
func membersKnown(ctx context.Context, url func(service string) string, token string) error {
	var queues web.List[host.Queues]
	if err := (rest.Client{BaseURL: url("member"), Token: token}).Get(ctx, "/ops/v1/books/member/queues", &queues); err != nil {
		return err
	}
	for _, q := range queues.Data {
		if q.Outbox > 0 {
			return fmt.Errorf("%d events about members are not published yet", q.Outbox)
		}
	}
	for _, name := range memberReaders {
		var reads engine.Subscription
		if err := (rest.Client{BaseURL: url(name), Token: token}).Get(ctx, "/internal/v1/subscription", &reads); err != nil {
			return err
		}
		i := slices.IndexFunc(reads.Topics, func(t engine.TopicState) bool { return t.Topic == memberTopic })
		if i < 0 || reads.Topics[i].Lag > 0 {
			return fmt.Errorf("%s has not read all of %s", name, memberTopic)
		}
	}
	return nil
}
