package outbox_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
)

// Somebody adds partitions to a topic under a working relay: every key stays where it was, with its order. The relay is
// elected anew in between, so that its client surely knows of the added ones.
func TestAddedPartitionsMoveNoKey(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.relay(t)
	keys := make([]string, 60)
	for i := range keys {
		keys[i] = fmt.Sprint("order-", i)
	}
	s.commitEvents(t, keys...)
	s.emptied(t)
	before := s.places(t)
	added, err := kadm.NewClient(s.client(t)).CreatePartitions(t.Context(), 4, s.topic)
	check(t, errors.Join(err, added.Error()))
	check(t, s.depose(t.Context()))
	for range 3 {
		s.commitEvents(t, keys...)
	}
	s.emptied(t)
	if diff := cmp.Diff(before, s.places(t)); diff != "" {
		t.Errorf("keys have moved (-before +after):\n%s", diff)
	}
	if v := s.judge(t); !v.intact() {
		t.Errorf("published %+v: want every event, in order", v)
	}
}

// places are the partitions that each key's events stand on.
func (s *stage) places(t *testing.T) map[string]map[int32]bool {
	t.Helper()
	places := map[string]map[int32]bool{}
	for _, r := range s.published(t) {
		if places[string(r.Key)] == nil {
			places[string(r.Key)] = map[int32]bool{}
		}
		places[string(r.Key)][r.Partition] = true
	}
	return places
}
