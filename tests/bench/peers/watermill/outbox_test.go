package main

import (
	"fmt"
	"testing"
)

// An order's messages keep their order only while they go through one table.
func TestAnOrdersMessagesShareATable(t *testing.T) {
	t.Parallel()
	box := newOutbox(config{forwarders: 4})
	used := map[string]int{}
	for i := range 1000 {
		id := fmt.Sprintf("order-%d", i)
		topic := box.topicOf(id)
		if again := box.topicOf(id); again != topic {
			t.Fatalf("order %s goes to %s and to %s", id, topic, again)
		}
		used[topic]++
	}
	for _, topic := range box.topics {
		if used[topic] < 150 {
			t.Errorf("%s gets %d of 1000 orders: %v", topic, used[topic], used)
		}
	}
}
