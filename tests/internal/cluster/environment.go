package cluster

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// The names the cluster's issuer signs as, and for whom.
const (
	tokenIssuer   = "quadrille-cluster"
	tokenAudience = "quadrille"
)

// environment is what a replica is told, where it reaches what it needs through its own proxies.
func (c *Cluster) environment(p *Process, reach reach) map[string]string {
	env := map[string]string{
		"HTTP_ADDR":           p.httpAddr,
		"ADMIN_ADDR":          p.adminAddr,
		"DATABASE_URL":        reach.database,
		"KAFKA_BROKERS":       reach.broker,
		"KAFKA_PARTITIONS":    strconv.Itoa(int(c.opts.Partitions)),
		"KAFKA_CREATE_TOPICS": "true",
		"DURABILITY":          "single",
		"LOG_FORMAT":          "text",
		"JWT_ISSUERS":         tokenIssuer,
		"JWT_AUDIENCES":       tokenAudience,
		"JWT_ALGORITHMS":      "EdDSA",
		"JWT_JWKS":            string(c.issuer.JWKS()),
		"OPERATORS_MAIL":      "operators@example.com",
		"OPERATORS_SMTP":      c.simulators.smtp,
		// One machine stands for all customers.
		"RATE_PER_MEMBER":  "0",
		"RATE_PER_ADDRESS": "0",
	}
	if p.Service != "gateway" {
		env["TRUSTED_PROXIES"] = "127.0.0.1"
	}
	switch p.Service {
	case "gateway":
		for _, other := range Services() {
			if other != "gateway" {
				env[strings.ToUpper(other)+"_URL"] = "http://" + c.balancers[other].addr
			}
		}
	case "payment":
		env["PAYMENT_PROVIDER"], env["PAYMENT_SIMULATOR_URL"] = "simulator", "http://"+reach.outside
		env["PAYMENT_WEBHOOK_SECRET"] = c.secret
	case "dataplatform":
		env["DATAPLATFORM_URL"], env["DATAPLATFORM_SECRET"] = "http://"+reach.outside+"/facts", dataplatformSecret
	case "shipping":
		env["CARRIER_URL"], env["CARRIER_WEBHOOK_SECRET"] = "http://"+reach.outside, c.secret
	case "member":
		env["MEMBERS_FILE"] = c.membersFile()
	case "mailer":
		env["SMTP_ADDR"], env["MAIL_FROM"] = reach.outside, "shop@example.com"
	}
	maps.Copy(env, c.opts.Environment)
	maps.Copy(env, c.opts.ServiceEnvironment[p.Service])
	return env
}

// simulatorEnvironment is what the outside world is told.
func (c *Cluster) simulatorEnvironment() map[string]string {
	env := map[string]string{
		"SIMULATOR_DIR":          filepath.Join(c.dir, "simulator"),
		"PAYMENT_SIMULATOR_ADDR": c.simulators.payment,
		"CARRIER_SIMULATOR_ADDR": c.simulators.carrier,
		"INBOX_ADDR":             c.simulators.inbox,
		"INBOX_SMTP_ADDR":        c.simulators.smtp,
		"DATAPLATFORM_ADDR":      c.simulators.dataplatform,
		"DATAPLATFORM_SECRET":    dataplatformSecret,
		"PAYMENT_WEBHOOK_URL":    "http://" + c.balancers["gateway"].addr + "/webhooks/payments/simulator",
		"PAYMENT_WEBHOOK_SECRET": c.secret,
		"CARRIER_WEBHOOK_URL":    "http://" + c.balancers["gateway"].addr + "/webhooks/shipping/simulator",
		"CARRIER_WEBHOOK_SECRET": c.secret,
		// Parcels move when a test moves them, so that a system that was left alone comes to rest.
		"CARRIER_DELAY": "24h",
	}
	maps.Copy(env, c.opts.ServiceEnvironment[simulatorName])
	return env
}

// addresses are where the simulators listen, host:port each.
type addresses struct{ payment, carrier, inbox, smtp, dataplatform string }

// dataplatformSecret signs what the data platform is sent.
const dataplatformSecret = "whsec_Y2x1c3RlciBjbHVzdGVyIGNsdXN0ZXIgY2x1c3Rlcg=="

func (addresses) url(addr string) string { return "http://" + addr }

func (c *Cluster) membersFile() string { return filepath.Join(c.dir, "members.json") }

// Members are the ids of the cluster's customers.
func (c *Cluster) Members() []string {
	ids := make([]string, c.opts.Members)
	for i := range ids {
		ids[i] = memberID(i)
	}
	return ids
}

func memberID(i int) string { return fmt.Sprintf("member-%05d", i+1) }

// writeMembers writes the file that stands in for member.v1.
func writeMembers(path string, count int) error {
	var file bytes.Buffer
	file.WriteString("[\n")
	for i := range count {
		if i > 0 {
			file.WriteString(",\n")
		}
		language := []string{"en", "ko"}[i%2]
		m := local.Member(memberID(i), fmt.Sprintf("0190a3a0-0000-7000-8000-%012x", i+1), language)
		encoded, err := protojson.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode a member: %w", err)
		}
		file.Write(encoded)
	}
	file.WriteString("\n]\n")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write members: %w", err)
	}
	return nil
}

// loadSecret reads the secret in path, or makes one.
func loadSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return string(b), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret: %w", err)
	}
	s := rand.Text()
	if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
		return "", fmt.Errorf("keep secret: %w", err)
	}
	return s, nil
}
