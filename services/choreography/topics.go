package choreography

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/kafka"
)

// retention is how long events can be read again, by a subscriber that was away or one that is new.
const retention = 7 * 24 * time.Hour

// Topics is deploy/topics.yaml: every topic with its settings, and for every service the topics it may
// write and read and the group it reads with. A topic is written by its owner alone.
func Topics(all []flow.Topology) string {
	var b strings.Builder
	b.WriteString(`# Generated from the declared choreography by "make generate"; do not edit.
#
# Names are without the configured prefix. The number of partitions is never changed once a topic exists:
# a key would move to another partition, and the order of its events with it.
topics:
`)
	compacted := compactedTopics(all)
	for _, topic := range topicNames(all) {
		topicYAML(&b, topic, slices.Contains(compacted, topic))
	}
	b.WriteString(`
# One principal per service. Write: produce, idempotently. Read: consume, with the group of the same name; the owner
# of a topic reads it too, where an event is to be sent again; a compacted one has states, which never are. Either comes with Describe and DescribeConfigs: services
# look at partitions and copies when they start.
principals:
`)
	for _, t := range all {
		write := t.Published()
		read := t.Topics()
		for _, topic := range write {
			if !slices.Contains(compacted, topic) {
				read = append(read, topic)
			}
		}
		slices.Sort(read)
		principalYAML(&b, t.Service, write, slices.Compact(read))
	}
	return b.String()
}

// topicNames lists the topics of all events that are emitted, in the order of the services.
func topicNames(all []flow.Topology) []string {
	var names []string
	for _, t := range all {
		for _, name := range emittedBy(t) {
			if topic := flow.Topic(name); !slices.Contains(names, topic) {
				names = append(names, topic)
			}
		}
	}
	return names
}

// compactedTopics are those that keep the last event of each subject, and none of those that were erased.
func compactedTopics(all []flow.Topology) []string {
	var names []string
	for _, t := range all {
		names = append(names, t.Compacted()...)
	}
	return names
}

func topicYAML(b *strings.Builder, topic string, compacted bool) {
	owner, _, _ := strings.Cut(topic, ".")
	fmt.Fprintf(b, "  - name: %s\n    owner: %s\n    partitions: %d\n    replication: 3\n    config:\n", topic, owner, kafka.Partitions)
	fmt.Fprintf(b, "      min.insync.replicas: 2\n")
	if compacted {
		b.WriteString("      cleanup.policy: compact\n      # An erased member's data is gone after this long at the latest.\n      max.compaction.lag.ms: 86400000\n")
		return
	}
	fmt.Fprintf(b, "      cleanup.policy: delete\n      retention.ms: %d\n", retention.Milliseconds())
}

func principalYAML(b *strings.Builder, service string, write, read []string) {
	list := func(names []string) string { return "[" + strings.Join(names, ", ") + "]" }
	fmt.Fprintf(b, "  - name: %s\n    write: %s\n    read: %s\n", service, list(write), list(read))
	if len(read) > 0 {
		fmt.Fprintf(b, "    group: %s\n", service)
	}
}
