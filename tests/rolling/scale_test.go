package rolling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quadrille-io/quadrille/tests/internal/cluster"
)

// Each service goes from one replica to three and back while customers order, and somebody adds partitions to every
// topic: nothing is lost, doubled or out of order. What was added stays empty, and a start refuses it until somebody
// says that it may be there.
func TestReplicasAndPartitions(t *testing.T) {
	s := start(t, cluster.Options{Replicas: 1, Spare: 2})
	s.shop(12)
	s.served(20)
	for _, service := range append(slices.Clone(consumers), producer) {
		s.scale(service)
	}
	t.Logf("one replica, three, one: %d orders", s.crowd.Accepted())

	added, err := s.admin().CreatePartitions(t.Context(), 3, v1...)
	if err := errors.Join(err, added.Error()); err != nil {
		t.Fatal(err)
	}
	s.served(20)
	const refusal = "has 9 partitions, 6 are configured"
	s.refused("payment", refusal)
	for _, service := range append(slices.Clone(consumers), producer) {
		p := s.cluster.Replicas(service)[0]
		p.Set("KAFKA_IGNORE_ADDED_PARTITIONS", "true")
		s.replace(p, s.old+"/"+service)
	}
	s.served(60)
	var read int
	s.query("payment", `SELECT count(*) FROM fence WHERE partition >= 6`, &read)
	if read == 0 {
		t.Error("nobody reads the partitions that were added")
	}
	e := s.close()
	s.kept(e, false)
	s.conforming()
	s.numbered(s.records(v1...))
	for _, event := range e.Events {
		if event.Partition >= partitions {
			t.Errorf("%s %s is on partition %d, which was added", event.Type, event.ID, event.Partition)
		}
	}
	s.deaths(refusal)
}

// scale adds two replicas and takes two away, with orders in between.
func (s *stage) scale(service string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for range 2 {
		if _, err := s.cluster.AddReplica(ctx, service); err != nil {
			s.t.Fatal(err)
		}
		s.served(3)
	}
	for range 2 {
		if err := s.cluster.RemoveReplica(ctx, service); err != nil {
			s.t.Fatal(err)
		}
		s.served(3)
	}
}

// refused stops a service and wants its next start to end with this.
func (s *stage) refused(service, text string) {
	s.t.Helper()
	p := s.cluster.Replicas(service)[0]
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := p.Terminate(ctx); err != nil {
		s.t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.eventually(func() error {
		for _, d := range s.cluster.Deaths() {
			if d.Service == service && strings.Contains(d.Tail, text) {
				return nil
			}
		}
		return fmt.Errorf("%s has not refused to start", service)
	})
}
