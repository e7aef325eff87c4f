package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/kafka"
	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/pkg/testkit"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/mailer/service"
	"github.com/quadrille-io/quadrille/services/simulator/inbox"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	partitions = 3
	members    = `[
		{"memberId": "kim", "name": "김철수", "email": "kim@shop.example", "language": "ko-KR"},
		{"memberId": "lee", "name": "Lee", "email": "lee@shop.example", "language": "en"},
		{"memberId": "gone", "name": "Gone", "email": "bounce@shop.example", "language": "en"}
	]`
)

// rig is a mailer with a database and topics of its own, and the mail server it sends to.
type rig struct {
	t      *testing.T
	env    map[string]string
	prefix string
	client *kgo.Client
	issuer *web.Issuer
	inbox  *inbox.Server
	mails  string // URL of the inbox

	url string // of the running service
}

func prepare(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	issuer, err := web.LoadOrCreateIssuer(filepath.Join(dir, "key.pem"), "test", "quadrille")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, prefix: testkit.TopicPrefix(t), issuer: issuer}
	brokers := testkit.Brokers(t)
	if r.client, err = kgo.NewClient(kgo.SeedBrokers(brokers...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.Close)
	if _, err := kadm.NewClient(r.client).CreateTopics(t.Context(), partitions, 1, nil,
		r.prefix+"order.v1", r.prefix+"payment.v1", r.prefix+"shipping.v1"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "members.json")
	if err := os.WriteFile(file, []byte(members), 0o600); err != nil {
		t.Fatal(err)
	}
	auth := issuer.Config()
	r.env = map[string]string{
		"DATABASE_URL": testkit.Database(t), "KAFKA_BROKERS": strings.Join(brokers, ","), "TOPIC_PREFIX": r.prefix,
		"KAFKA_PARTITIONS": fmt.Sprint(partitions), "DURABILITY": "single", "LOG_LEVEL": "error",
		"JWT_ISSUERS": auth.Issuers[0], "JWT_AUDIENCES": auth.Audiences[0], "JWT_JWKS": auth.JWKS,
		"RATE_PER_ADDRESS": "5000", "RATE_PER_MEMBER": "5000",
		"SMTP_ADDR": r.openInbox(filepath.Join(dir, "inbox")), "MAIL_FROM": "Shop <shop@shop.example>",
		"SHOP_URL": "https://shop.example", "MEMBERS_FILE": file,
	}
	return r
}

// openInbox starts the mail server and returns its address.
func (r *rig) openInbox(dir string) string {
	r.t.Helper()
	var err error
	if r.inbox, err = inbox.New(inbox.Config{Dir: dir}); err != nil {
		r.t.Fatal(err)
	}
	l := listen(r.t)
	go r.inbox.ServeSMTP(l) //nolint:errcheck // ends with Close
	pages := httptest.NewServer(r.inbox.Handler())
	r.mails = pages.URL
	r.t.Cleanup(func() {
		if err := r.inbox.Close(); err != nil {
			r.t.Errorf("close the inbox: %v", err)
		}
		pages.Close()
	})
	return l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// start runs the service until stop is called or the test ends, and returns when it is ready.
func (r *rig) start() (stop func()) {
	r.t.Helper()
	var cfg service.Config
	if err := run.LoadFrom(r.env, &cfg); err != nil {
		r.t.Fatal(err)
	}
	cfg.HTTPListener, cfg.AdminListener = listen(r.t), listen(r.t)
	cfg.Tuning = engine.Tuning{Sweep: 50 * time.Millisecond}
	cfg.KafkaOptions = []kgo.Opt{kgo.FetchMaxWait(100 * time.Millisecond), kgo.MetadataMinAge(50 * time.Millisecond)}
	r.url = "http://" + cfg.HTTPListener.Addr().String()

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx, cfg) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				r.t.Errorf("the service ended with: %v", err)
			}
		case <-time.After(30 * time.Second):
			r.t.Error("the service did not stop")
		}
	}
	r.t.Cleanup(stop)
	testkit.Eventually(r.t, 60*time.Second, func() error {
		select {
		case err := <-ended:
			ended <- err
			r.t.Fatalf("the service ended with: %v", err)
		default:
		}
		return get("http://"+cfg.AdminListener.Addr().String()+"/readyz", "", nil)
	})
	return stop
}

// get reads JSON; any status but 200 is an error.
func get(url, token string, into any) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%d %s", resp.StatusCode, body)
	case into == nil:
		return nil
	}
	return json.Unmarshal(body, into)
}

// publish puts events on their topics, as the other services would; copies says how often each.
func (r *rig) publish(orderID string, copies int, events ...proto.Message) {
	r.t.Helper()
	for _, m := range events {
		name := string(m.ProtoReflect().Descriptor().FullName())
		owner := strings.Split(name, ".")[1]
		value, err := proto.Marshal(m)
		if err != nil {
			r.t.Fatal(err)
		}
		record := kgo.Record{Topic: r.prefix + owner + ".v1", Key: []byte(orderID), Value: value}
		for _, h := range (kafka.Envelope{
			ID: uuid.Must(uuid.NewV7()).String(), Type: name, Source: "/quadrille/" + owner, Subject: orderID,
			Time: time.Now(), Sequence: 1, Correlation: orderID,
		}).Headers() {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
		}
		for range copies {
			same := record
			if err := r.client.ProduceSync(r.t.Context(), &same).FirstErr(); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

func (r *rig) operator() string {
	r.t.Helper()
	token, err := r.issuer.Token("op", []string{web.RoleOperator}, time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

// state is what the service says of its mails about an order, by kind.
func (r *rig) states(orderID string) (map[string]mailState, error) {
	var list struct{ Data []mailState }
	if err := get(r.url+"/internal/v1/mails/"+url.PathEscape(orderID), r.operator(), &list); err != nil {
		return nil, err
	}
	byKind := map[string]mailState{}
	for _, m := range list.Data {
		byKind[m.Kind] = m
	}
	return byKind, nil
}

type mailState struct {
	Kind, State, LastError string
	Attempts               int
}

// await waits until every kind of mail about the order is in its state.
func (r *rig) await(orderID string, want map[string]string) {
	r.t.Helper()
	testkit.Eventually(r.t, 30*time.Second, func() error {
		got, err := r.states(orderID)
		if err != nil {
			return err
		}
		for kind, state := range want {
			if got[kind].State != state {
				return fmt.Errorf("%s: %+v, want %v", orderID, got, want)
			}
		}
		if len(got) != len(want) {
			return fmt.Errorf("%s: %+v, want %v", orderID, got, want)
		}
		return nil
	})
}

// received is what the mail server took for an address, or for all.
func (r *rig) received(to string) []inbox.Message {
	r.t.Helper()
	var list struct{ Data []inbox.Message }
	if err := get(r.mails+"/messages?limit=1000&to="+url.QueryEscape(to), "", &list); err != nil {
		r.t.Fatal(err)
	}
	return list.Data
}
