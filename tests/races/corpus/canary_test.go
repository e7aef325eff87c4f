package corpus_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// canaries are words that stand nowhere else: whoever finds one has found somebody's data. databases says whose tables
// may hold it; topics and logs never may.
var canaries = map[string]struct{ databases []string }{
	"Zephyrine Canaryfeather":       {[]string{"member", "shipping", "mailer"}}, // name
	"k7f3@feathers.example":         {[]string{"member", "mailer"}},             // e-mail, also in those that bounce
	"+82-2-7391-5528":               {[]string{"member", "shipping"}},           // phone
	"4711 Kanarienweg":              {[]string{"member", "shipping"}},           // address, line 1
	"Aviary 17b":                    {[]string{"member", "shipping"}},           // line 2
	"Vogelstadt":                    {[]string{"member", "shipping"}},           // city
	fledglingPassword:               {nil},                                      // a password
	"because of the finch":          {[]string{"order"}},                        // the customer's words at a cancel
	"the operator names a nuthatch": {[]string{"gateway"}},                      // an operator's reason: the audit's
}

// secrets may stand in the databases of those who need them, and in no log.
var secrets = []string{"tok_", "eyJ", "whsec_", "postgres://", "PRIVATE KEY"}

// nest are the members with canaries: one whose parcels arrive, one whose mails bounce, one nobody delivers to.
func nest() (members []*memberv1.MemberChanged) {
	for i, m := range []struct{ id, mail, postalCode string }{
		{"bird-a", "canary-k7f3@feathers.example", "04524"},
		{"bird-b", "bounce-k7f3@feathers.example", "04524"},
		{"bird-c", "refused-k7f3@feathers.example", "00000"},
		{"bird-d", "lost-k7f3@feathers.example", "00001"},
	} {
		member := local.Member(m.id, fmt.Sprintf("0190a3a0-0000-7000-8000-0000000001%02d", i), "en")
		member.Name, member.Email, member.Phone = "Zephyrine Canaryfeather", m.mail, "+82-2-7391-5528"
		a := member.Addresses[0]
		a.Name, a.Phone, a.Line1, a.Line2, a.City, a.PostalCode = member.Name, member.Phone, "4711 Kanarienweg", "Aviary 17b", "Vogelstadt", m.postalCode
		members = append(members, member)
	}
	return members
}

// TestCanary lives through orders of every kind, then looks for the members' data where it must not be: in every record
// of every topic, in every table of every database but those that need it, in every line of every log, in the metrics; and
// once they are erased, in those tables too.
func TestCanary(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *local.Config) {
		c.Members = append(local.Members(), nest()...)
		c.Environment["LOG_LEVEL"] = "debug"
		c.ServiceEnvironment = map[string]map[string]string{"payment": {"PAYMENT_TIMEOUT": "1s"}, "shipping": {"CARRIER_TIMEOUT": "1s"}}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	if err := w.Seed(ctx); err != nil {
		t.Fatal(err)
	}
	// The rows of calls and outboxes are there for a moment only, so the tables are looked through all the while.
	watching, done := context.WithCancel(ctx)
	found := make(chan map[string]string, 1)
	go func() { found <- w.watchTables(watching, t) }()
	w.lives(t)
	fledgling := w.registers(t)
	w.rubbish(t)
	w.parks(t)
	w.caughtUp(t)
	done()
	seen := <-found
	for where, what := range seen {
		t.Errorf("%s has %s", where, what)
	}
	w.erases(ctx, t, fledgling, w.client(t, "bird-a"), w.client(t, "bird-b"), w.client(t, "bird-c"), w.client(t, "bird-d"))
	w.searchTopics(t)
	w.searchLogs(t)
	w.searchMetrics(t)
}

// watchTables looks through every database until it is told to stop, and once more, and returns what it found.
func (w town) watchTables(ctx context.Context, t *testing.T) map[string]string {
	found := map[string]string{}
	there := map[string]bool{} // where a canary was found that may be there
	for last := false; !last; {
		last = ctx.Err() != nil
		for service, address := range w.cfg.Databases {
			err := eachRow(context.WithoutCancel(ctx), address, func(table, row string) {
				for canary, may := range canaries {
					if !holds(row, canary) {
						continue
					}
					if slices.Contains(may.databases, service) {
						there[canary] = true
					} else {
						found[service+"."+table] = canary
					}
				}
				if strings.Contains(row, "eyJ") || holds(row, "eyJhbGciOi") {
					found[service+"."+table] = "a caller's token"
				}
			})
			if err != nil {
				t.Errorf("look through the database of %s: %v", service, err)
			}
		}
	}
	for canary := range canaries {
		// At a cancel only the customer's reason need not be kept.
		if !there[canary] && canary != "because of the finch" && canary != fledglingPassword {
			t.Errorf("%q was found nowhere: the search is blind", canary)
		}
	}
	return found
}

// holds looks for a text as it is and as the hexadecimal digits of bytea.
func holds(row, text string) bool {
	return strings.Contains(row, text) || strings.Contains(row, hex.EncodeToString([]byte(text)))
}

// eachRow reads all rows of all tables of a database as text.
func eachRow(ctx context.Context, address string, f func(table, row string)) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, `SELECT table_schema, table_name FROM information_schema.tables
		WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (pgx.Identifier, error) {
		name := pgx.Identifier{"", ""}
		return name, r.Scan(&name[0], &name[1])
	})
	if err != nil {
		return err
	}
	for _, table := range tables {
		rows, err := conn.Query(ctx, "SELECT t::text FROM "+table.Sanitize()+" t")
		if err != nil {
			return err
		}
		var row string
		if _, err := pgx.ForEachRow(rows, []any{&row}, func() error { f(table[1], row); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// searchTopics looks at every record that was ever published, but member.v1's.
func (w town) searchTopics(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want, topics := 0, map[string]bool{}
	ends.Each(func(o kadm.ListedOffset) {
		if name, ours := strings.CutPrefix(o.Topic, w.cfg.TopicPrefix); ours && name != "member.v1" {
			want += int(o.Offset)
			topics[o.Topic] = true
			client.AddConsumePartitions(map[string]map[int32]kgo.Offset{o.Topic: {o.Partition: kgo.NewOffset().AtStart()}})
		}
	})
	n := map[string]int{}
	for read := 0; read < want; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d records: %v", read, want, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			n[r.Topic]++
			text := string(r.Key) + "\n" + string(r.Value)
			for _, h := range r.Headers {
				text += "\n" + h.Key + "=" + string(h.Value)
			}
			for canary := range canaries {
				if strings.Contains(text, canary) {
					t.Errorf("%s %d/%d has %q", r.Topic, r.Partition, r.Offset, canary)
				}
			}
			if strings.Contains(text, "eyJ") {
				t.Errorf("%s %d/%d has a caller's token", r.Topic, r.Partition, r.Offset)
			}
		})
	}
	if len(n) < 5 || want < 60 {
		t.Errorf("%d records of %d topics: too few for what was done", want, len(n))
	}
	t.Logf("%d records of %d topics", want, len(topics))
}

// searchLogs looks at every line that was logged, at the level that logs most.
func (w town) searchLogs(t *testing.T) {
	t.Helper()
	lines := 0
	for line := range strings.Lines(w.log.String() + strays.String()) {
		lines++
		for canary := range canaries {
			if strings.Contains(line, canary) || strings.Contains(line, url.QueryEscape(canary)) || strings.Contains(line, url.PathEscape(canary)) {
				t.Errorf("logged: %.600s", line)
			}
		}
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("%q is logged: %.600s", secret, line)
			}
		}
	}
	if lines < 500 || !strings.Contains(w.log.String(), "mail refused for good") {
		t.Errorf("%d lines, of which none tells of the mail that bounced: too few for what was done", lines)
	}
	t.Logf("%d log lines", lines)
}

// searchMetrics looks at what every service tells whoever asks on its port for operators.
func (w town) searchMetrics(t *testing.T) {
	t.Helper()
	for _, service := range local.Services() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.AdminURL(service)+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		got := send(t, req)
		if !strings.Contains(string(got.Body), "http_requests_total") {
			t.Errorf("%s: no metrics: %.200s", service, got.Body)
		}
		for canary := range canaries {
			if strings.Contains(string(got.Body), canary) {
				t.Errorf("the metrics of %s have %q", service, canary)
			}
		}
		if strings.Contains(string(got.Body), "bird-") {
			t.Errorf("the metrics of %s name a member", service)
		}
	}
}
