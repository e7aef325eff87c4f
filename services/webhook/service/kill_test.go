package service_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/webhook/service"
)

// childVariable makes of this test's program a webhook service, configured by its environment.
const childVariable = "WEBHOOK_TEST_CHILD"

func child() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var cfg service.Config
	err := run.Load(&cfg)
	if err == nil {
		cfg.Roots = authority()
		err = service.Run(ctx, cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// spawn starts a replica as a process of its own, and returns how to kill it.
func (s *system) spawn() (kill func()) {
	s.T.Helper()
	var cfg service.Config
	s.Configure(&cfg, &cfg.Config, s.env)
	self, err := os.Executable()
	if err != nil {
		s.T.Fatal(err)
	}
	process := exec.Command(self)
	process.Stdout, process.Stderr = s.T.Output(), s.T.Output()
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for name, value := range s.env {
		process.Env = append(process.Env, name+"="+value)
	}
	process.Env = append(process.Env, childVariable+"=1",
		"KAFKA_BROKERS="+strings.Join(cfg.Brokers, ","), "TOPIC_PREFIX="+cfg.TopicPrefix,
		"KAFKA_PARTITIONS="+strconv.Itoa(int(cfg.Partitions)), "DURABILITY=single", "LOG_LEVEL=warn", "LOG_FORMAT=text",
		"JWT_ISSUERS="+strings.Join(cfg.Auth.Issuers, ","), "JWT_AUDIENCES="+strings.Join(cfg.Auth.Audiences, ","),
		"JWT_JWKS="+cfg.Auth.JWKS, "HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0")
	if err := process.Start(); err != nil {
		s.T.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		if err := process.Process.Kill(); err != nil {
			s.T.Errorf("kill a replica: %v", err)
		}
		_ = process.Wait() // killed is how it is to end
	})
	s.T.Cleanup(kill)
	return kill
}

// A replica that is killed in the middle of an attempt, after the receiver has seen it and before anybody knows what
// became of it: the delivery is made again by another one, under the same id and with the same bytes, once the claim
// has ended.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	s := prepare(t, "WEBHOOK_TIMEOUT", "1s")
	var arrived, killed flag
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			arrived.give()
			<-killed.done()
		}
		w.WriteHeader(http.StatusOK)
	})
	stop := s.start()
	id, secret := s.subscribe(r.url, completedType)
	stop()

	kill := s.spawn()
	event := s.Publish("order-1", completed("order-1"))
	<-arrived.done()
	kill()
	killed.give()

	s.start()
	got := r.await(event, 2)
	for _, d := range got {
		if d.verify(secret) != nil || string(d.body) != string(got[0].body) {
			t.Errorf("another delivery: %s", d.body)
		}
	}
	// Of the first attempt nobody knows the end, so it is not in the log; and there is no third.
	if log := s.untilLogged(id, event, 1); len(log) != 1 || log[0].Outcome != "DELIVERED" || len(r.received(event)) != 2 {
		t.Errorf("log %+v, %d requests", log, len(r.received(event)))
	}
}

// Two replicas share the work: what one has claimed the other does not send, so each delivery is made once.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	s := prepare(t, "WEBHOOK_CONCURRENCY", "2")
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n > 1 {
			w.WriteHeader(http.StatusConflict)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	s.start()
	s.start()
	id, _ := s.subscribe(r.url, "*")
	const orders = 80
	var events []string
	for i := range orders {
		order := fmt.Sprintf("order-%02d", i)
		events = append(events, s.Publish(order, completed(order)))
	}
	for _, event := range events {
		r.await(event, 1)
		s.untilLogged(id, event, 1)
	}
	s.CaughtUp()
	if logged, got := len(s.attempts(id, "")), len(r.received("")); logged != orders || got != orders {
		t.Errorf("%d attempts in the log, %d requests, want %d of each", logged, got, orders)
	}
}
