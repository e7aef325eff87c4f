package outbox

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// A key goes where every other Kafka client would put it, in a topic with the configured number of partitions, and stays
// there however many the topic has.
func TestPartitionIsThatOfTheConfiguredNumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		record := &kgo.Record{Key: rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "key")}
		configured := rapid.IntRange(1, 100).Draw(t, "configured")
		added := rapid.IntRange(0, 50).Draw(t, "added")
		want := kgo.StickyKeyPartitioner(nil).ForTopic("t").Partition(record, configured)
		ours := partitioner(int32(configured)).ForTopic("t")
		if !ours.RequiresConsistency(record) {
			t.Fatal("a key may go to another partition while its own is not writable")
		}
		if got := ours.Partition(record, configured+added); got != want {
			t.Fatalf("partition %d of %d+%d, other clients say %d", got, configured, added, want)
		}
	})
}
