package simulator

import "time"

// planFaults draws the moments of the faults that come by themselves.
func (s *sim) planFaults() {
	plans := map[Fault]func(){
		Pause: func() {
			if r := s.anyReplica(); r.alive {
				r.pause(s.between(time.Second, 45*time.Second))
			}
		},
		Rebalance:     func() { s.anyService().group.shuffle() },
		OffsetLost:    s.loseOffsets,
		ClockJump:     s.jumpClock,
		DatabaseClock: s.jumpDatabase,
		BadRelease:    s.badRelease,
		ReplayByHand:  func() { s.replayAll(true) },
		ProviderDown:  s.providerDown,
		ServiceDown:   s.serviceDown,
		DatabaseDown:  s.databaseDown,
		BrokerDown:    s.brokerDown,
		DatabaseTrouble: func() {
			db := s.anyService().db
			db.troubleUntil = s.now + s.between(100*time.Millisecond, 10*time.Second)
			s.tell(db.service.name, "", "the database's disk is full until %v", db.troubleUntil)
			s.after(db.troubleUntil-s.now, db.service.disturbed)
		},
		InboxForgotten: func() {
			s.after(s.plan.end, s.forgetInboxes)
		},
	}
	for f := range faults {
		if plans[f] == nil || !s.plan.enabled[f] {
			continue
		}
		for range 1 + s.rng.IntN(faultKinds[f].times) {
			strike := plans[f]
			s.after(s.between(0, s.plan.end), func() {
				s.struck(f)
				strike()
			})
		}
	}
}

func (s *sim) anyService() *service { return s.services[s.rng.IntN(serviceCount)] }

func (s *sim) anyReplica() *replica {
	v := s.anyService()
	return v.replicas[s.rng.IntN(len(v.replicas))]
}

// loseOffsets has all partitions of a group begin anew. What the group's offsets say plays no part: a
// consumer begins where the database says.
func (s *sim) loseOffsets() {
	v := s.anyService()
	s.tell(v.name, "", "the group's offsets are lost")
	for _, r := range v.replicas {
		if !r.alive {
			continue
		}
		for _, at := range v.group.owns(r) {
			r.after(s.between(0, 20*time.Millisecond), func() {
				r.consumer.forget(at)
				v.group.assign(r, at)
			})
		}
	}
}

func (s *sim) jumpClock() {
	r := s.anyReplica()
	r.skew = s.between(-2*time.Hour, 2*time.Hour)
	s.tell(r.name, "", "its wall clock jumps by %v", r.skew)
	s.after(s.between(10*time.Second, 5*time.Minute), func() { r.skew = 0 })
}

func (s *sim) jumpDatabase() {
	db := s.anyService().db
	by := s.between(time.Second, time.Minute)
	db.skew += by
	s.tell(db.service.name, "", "the database's clock jumps by %v", by)
	db.service.disturbed()
	db.service.lookAround()
}

// lookAround has everything looked for that may be due.
func (v *service) lookAround() {
	for _, r := range v.alive() {
		r.after(v.between(0, sweepEvery), r.worker.claim)
		r.after(v.between(0, sweepEvery), r.sweep)
		r.after(v.between(0, 2*time.Second), r.replayDue)
	}
}

func (s *sim) badRelease() {
	v := s.anyService()
	v.brokenUntil, v.wasBroken = s.now+s.between(time.Second, time.Minute), true
	s.tell(v.name, "", "BAD RELEASE: fails on every event until %v", v.brokenUntil)
	s.after(v.brokenUntil-s.now, v.disturbed)
}

func (s *sim) providerDown() {
	o := []*outage{&s.card.outage, &s.carrier.outage, &s.post.outage}[s.rng.IntN(3)]
	lasts := s.between(100*time.Millisecond, time.Minute)
	if s.chance(0.3) {
		lasts = s.between(remembered, 8*remembered)
	}
	o.until = max(o.until, s.now+lasts)
	s.tell("providers", "", "one is down for %v", lasts)
}

func (s *sim) serviceDown() {
	v := s.anyService()
	longest := 90 * time.Second
	if s.chance(0.4) {
		longest = 6 * remembered // long enough for everything that waits for it to run out
	}
	s.tell(v.name, "", "all processes are DOWN")
	lasts := s.between(time.Second, longest)
	for _, r := range v.replicas {
		if r.alive {
			r.kill()
		}
		s.after(lasts+s.between(0, 5*time.Second), r.start)
	}
}

func (s *sim) databaseDown() {
	db := s.anyService().db
	lasts := s.between(10*time.Millisecond, 20*time.Second)
	s.tell(db.service.name, "", "the database is down for %v", lasts)
	db.service.disturbed()
	db.down = true
	db.endSessions()
	s.after(lasts, func() {
		db.down = false
		db.service.disturbed()
		db.service.lookAround()
	})
}

func (s *sim) brokerDown() {
	lasts := s.between(100*time.Millisecond, 30*time.Second)
	s.tell("broker", "", "is down for %v", lasts)
	s.broker.down = true
	s.after(lasts, func() {
		s.broker.down = false
		s.lookEverywhere()
	})
}

func (s *sim) lookEverywhere() {
	for _, v := range s.services {
		v.disturbed()
		for _, r := range v.replicas {
			if r.alive {
				for at := range s.broker.logs {
					r.consumer.look(slot(at))
				}
			}
		}
	}
}

// forgetInboxes lets weeks pass for every inbox and repeats some of what was published. Only what the
// services remember for ever stands between a repetition and a second effect.
func (s *sim) forgetInboxes() {
	s.tell("broker", "", "weeks later: the inboxes have forgotten, and some events come again")
	for _, v := range s.services {
		clear(v.db.inbox)
	}
	s.oracle.forgotten = true
	for at, log := range s.broker.logs {
		from := s.rng.IntN(len(log) + 1)
		s.broker.append(slot(at), append([]*fact(nil), log[from:min(len(log), from+30)]...))
	}
}

// heal ends all faults: what is down is started, what is sick is mended, and a person looks after what is
// parked or stopped until nothing is.
func (s *sim) heal() {
	s.tell("operator", "", "FAULTS END: everything is started and mended")
	for _, v := range s.services {
		v.poisoned, v.brokenUntil, v.db.troubleUntil = map[string]sickness{}, 0, 0
		v.disturbed()
		for _, r := range v.replicas {
			r.start()
		}
	}
	s.after(time.Minute, s.attend)
}

// attend is the operator's round.
func (s *sim) attend() {
	s.replayAll(false)
	again := false
	for _, v := range s.services {
		again = again || len(v.db.failures) > 0 || s.now < v.brokenUntil
		for _, r := range v.replicas {
			if !r.alive {
				again = true
				continue
			}
			for _, stopped := range r.consumer.stopped {
				again = again || stopped
			}
			r.after(0, func() { r.consumer.resume() })
		}
	}
	if again {
		s.after(10*time.Second, s.attend)
	}
}

// replayAll replays what is parked; some of it, if it is tried too early.
func (s *sim) replayAll(some bool) {
	for _, v := range s.services {
		for _, id := range v.db.parked() {
			up := v.alive()
			if len(up) == 0 || some && s.chance(0.5) {
				continue
			}
			up[0].after(s.between(0, time.Second), func() { up[0].replay(id, false, func(error) {}) })
		}
	}
}
