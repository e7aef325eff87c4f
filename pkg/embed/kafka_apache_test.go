//go:build apache

// Starting Apache Kafka itself needs Java: `go test -tags apache ./embed`.

package embed

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

func startKafka(t *testing.T, dir string) *Kafka {
	t.Helper()
	k, err := StartKafka(t.Context(), KafkaConfig{DataDir: dir, Progress: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return k
}

// kill -9 of the server loses no acknowledged record: its page cache stays.
func TestKafkaSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	k := startKafka(t, dir)
	roundTrip(t, k.Addrs()[0], "first", func(admin *kadm.Client) error {
		_, err := admin.CreateTopic(t.Context(), 3, 1, nil, "order.v1")
		return err
	})
	if err := syscall.Kill(k.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-k.Done()
	if err := k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	k = startKafka(t, dir)
	if got := values(t, k.Addrs()[0], 100); !strings.HasPrefix(got, "first0 first1 ") {
		t.Errorf("kept %q", got)
	}
	roundTrip(t, k.Addrs()[0], "second", nil)
}
