package simulator

import (
	"slices"
	"time"
)

// group is a service's consumer group: who is to have which partition. Its members may believe otherwise for
// a while, and nothing may depend on it.
type group struct {
	*sim
	service *service
	owner   []*replica // by slot
}

// members are the processes whose sessions live.
func (g *group) members() []*replica {
	var all []*replica
	for _, r := range g.service.replicas {
		if r.alive && r.now >= r.pausedUntil {
			all = append(all, r)
		}
	}
	return all
}

// rebalance gives every partition of the service's topics to one of the members.
func (g *group) rebalance() {
	members := g.members()
	if len(members) == 0 {
		return
	}
	shift := g.rng.IntN(len(members))
	var changed []slot
	for i, topic := range g.service.topics {
		for p, s := range g.broker.slots(topic) {
			next := members[(i+p+shift)%len(members)]
			if g.owner[s] != next {
				changed = append(changed, s)
			} else if !next.consumer.assigned(s) {
				next.after(g.between(0, time.Second), func() { g.assign(next, s) })
			}
			g.owner[s] = next
		}
	}
	for _, s := range changed {
		g.move(s)
	}
}

// move tells the former owners of a partition that it is gone, some of them late, and the new one that it
// may begin. Nothing makes the new one wait for the former.
func (g *group) move(s slot) {
	next := g.owner[s]
	for _, r := range g.service.replicas {
		if !r.alive || r == next {
			continue
		}
		late := g.between(0, 50*time.Millisecond)
		if r.consumer.assigned(s) && g.hit(ZombieConsumer) {
			late = g.between(time.Second, 12*time.Second)
			g.tell(r.name, "", "will learn in %v that partition %d is not its own any more", late, s)
		}
		consumer := r.consumer
		r.after(late, func() {
			if g.owner[s] != r {
				consumer.forget(s)
			}
		})
	}
	next.after(g.between(0, time.Second), func() { g.assign(next, s) })
}

// assign begins a partition at the database's offset, whatever the group's own says.
func (g *group) assign(r *replica, s slot) {
	switch {
	case g.owner[s] != r || r.consumer.assigned(s):
	case g.service.db.down:
		r.after(time.Second, func() { g.assign(r, s) })
	default:
		r.consumer.assign(s, g.service.db.fences[s])
	}
}

// shuffle is a rebalance that nobody asked for.
func (g *group) shuffle() {
	members := g.members()
	if len(members) < 2 {
		return
	}
	for i := range g.owner {
		if g.owner[i] != nil && g.chance(0.5) {
			g.owner[i] = members[g.rng.IntN(len(members))]
			g.move(slot(i))
		}
	}
}

func (g *group) owns(r *replica) []slot {
	var all []slot
	for i, owner := range g.owner {
		if owner == r {
			all = append(all, slot(i))
		}
	}
	return slices.Clip(all)
}
