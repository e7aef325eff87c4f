package outbox

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partitioner gives a key its partition among as many as are configured, whatever the topic has.
//
// Every Kafka client takes the hash of the key modulo the partitions that the topic has now. Should somebody add
// partitions while services run, most keys would move to another one: the events of an order from then on would be read
// beside those from before, by another consumer, and overtake them. The number that was configured when the topic was
// made never changes, so neither does a key's partition; partitions that were added stay empty. A restart refuses them
// (see package kafka), which is when somebody hears of it.
//
// A topic with fewer partitions than are configured takes no record of a key beyond them: the rows stay in the table.
func partitioner(partitions int32) kgo.Partitioner {
	return kgo.StickyKeyPartitioner(func(key []byte, _ int) int { return partitionOf(key, partitions) })
}

// partitionOf is what Kafka's own clients compute: the hash without its sign, modulo the number.
func partitionOf(key []byte, partitions int32) int {
	return int(murmur2(key)&0x7fffffff) % int(partitions)
}

// murmur2 is MurmurHash2 by Austin Appleby, 32 bits, with the seed of Kafka's clients. The arithmetic wraps.
func murmur2(data []byte) uint32 {
	const (
		seed uint32 = 0x9747b28c
		m    uint32 = 0x5bd1e995
		r           = 24
	)
	h := seed ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k ^= k >> r
		h = h*m ^ k*m
	}
	for i, b := range data {
		h ^= uint32(b) << (8 * i)
	}
	if len(data) > 0 {
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
