// Package local runs the whole system in one process: every service and the simulators of the outside
// world, against a broker and databases that the caller brings. `quadrille up` starts it on embedded
// ones, the integration tests on those of the test kit. The services are the ones that run in
// production, configured through the same environment variables.
package local

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/host"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/simulator"
)

// Config of a System.
type Config struct {
	// Dir keeps the token key, the members' file and the simulators' memory.
	Dir string
	// Databases holds the URL of an existing database for each of Services.
	Databases map[string]string
	// Brokers is host:port of each; TopicPrefix stands before topics and groups.
	Brokers     []string
	TopicPrefix string
	// Partitions of every topic; 0 is 12.
	Partitions int32

	// Gateway is where the gateway listens; nil takes a free port of 127.0.0.1.
	Gateway net.Listener

	// Members are those that the member service begins with; nil is Members().
	Members []*memberv1.MemberChanged

	// Simulators is how the outside world behaves; its Dir, and the webhook of the carrier, are set here.
	Simulators simulator.Config

	// Environment is added to what every service is told, ServiceEnvironment to what one is; both win
	// over what is set here.
	Environment        map[string]string
	ServiceEnvironment map[string]map[string]string
	// Tuning and KafkaOptions are given to every service.
	Tuning       engine.Tuning
	KafkaOptions []kgo.Opt
	// Feeds are further ways in for commands, by service.
	Feeds map[string]host.Feed

	// Log takes the services' log lines, as text; nil is standard error.
	Log io.Writer
}

// restartPause is how long a service that failed is left alone before it is started again, as an
// orchestrator would; it doubles up to the second figure.
const (
	restartPause    = time.Second
	restartPauseMax = 30 * time.Second
)

func (c Config) check() error {
	if c.Dir == "" || len(c.Brokers) == 0 {
		return errors.New("a folder and brokers are needed")
	}
	for _, name := range Services() {
		if c.Databases[name] == "" {
			return fmt.Errorf("no database for %s", name)
		}
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Partitions == 0 {
		c.Partitions = 12
	}
	if c.Members == nil {
		c.Members = Members()
	}
	if c.Log == nil {
		c.Log = os.Stderr
	}
	return c
}
