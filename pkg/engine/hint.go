package engine

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// offsetHint commits offsets to the group about once a second: nobody starts from them, but lag is
// measured by them. It has a goroutine of its own because a commit waits while the group rebalances,
// and a batch must not.
type offsetHint struct {
	mu     sync.Mutex
	marked map[string]map[int32]kgo.EpochOffset
}

func (h *offsetHint) mark(r *kgo.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.marked == nil {
		h.marked = map[string]map[int32]kgo.EpochOffset{}
	}
	if h.marked[r.Topic] == nil {
		h.marked[r.Topic] = map[int32]kgo.EpochOffset{}
	}
	h.marked[r.Topic][r.Partition] = kgo.EpochOffset{Epoch: -1, Offset: r.Offset + 1}
}

func (h *offsetHint) take() map[string]map[int32]kgo.EpochOffset {
	h.mu.Lock()
	defer h.mu.Unlock()
	marked := h.marked
	h.marked = nil
	return marked
}

func (c *consumer[W]) sendHints(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			// Should it fail, the next one says more.
			c.client.CommitOffsetsSync(ctx, c.hint.take(), nil)
		}
	}
}

// flush commits what is marked, on the way out.
func (h *offsetHint) flush(client *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	client.CommitOffsetsSync(ctx, h.take(), nil)
}
