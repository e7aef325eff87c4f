package embed

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaJars is the pinned class path of Apache Kafka: one jar a line, as
// group:name:version and its SHA-256.
//
//go:embed kafka_jars.txt
var kafkaJars string

// KafkaConfig says where an Apache Kafka server keeps its data.
type KafkaConfig struct {
	// DataDir keeps the log, the configuration and the server's output. One
	// process at a time.
	DataDir string
	// CacheDir keeps the downloaded jars; empty means the user's cache folder.
	CacheDir string
	// Port on 127.0.0.1; 0 means one that is free. The controller takes
	// another free one.
	Port int
	// Listeners are further ports; each tells its clients an address of its own.
	Listeners []KafkaListener
	// Progress is told, in words for a person, what takes time; may be nil.
	Progress func(string)
}

// KafkaListener is a port whose clients are sent to another address: a Kafka client asks whom it first
// reaches for the broker's address and dials that one, so a proxy before the broker only stays between
// them where the broker tells the proxy's address.
type KafkaListener struct {
	// Port on 127.0.0.1; it must be free.
	Port int
	// Advertised is host:port of what stands before Port.
	Advertised string
}

// Kafka is a running Apache Kafka: one node, broker and KRaft controller.
type Kafka struct {
	dir  string
	addr string
	java string
	cp   string
	lock *fileLock
	proc *process
	say  func(string, ...any)
}

// StartKafka starts Apache Kafka with the java of JAVA_HOME or the PATH (17 or
// newer) and returns once it takes requests. Topics are created by request
// only. ctx bounds the start only.
func StartKafka(ctx context.Context, cfg KafkaConfig) (_ *Kafka, err error) {
	k := &Kafka{say: reporter(cfg.Progress)}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start Kafka: %w", err)
		}
	}()
	if k.java, err = findJava(); err != nil {
		return nil, err
	}
	if k.dir, err = filepath.Abs(cfg.DataDir); err != nil || cfg.DataDir == "" {
		return nil, errors.Join(errors.New("no data folder given"), err)
	}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	if k.lock, err = lockData(ctx, k.dir, k.say); err != nil {
		return nil, err
	}
	if err := k.launch(ctx, cfg); err != nil {
		k.lock.unlock()
		return nil, err
	}
	return k, nil
}

// findJava returns the java to run.
func findJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java := filepath.Join(home, "bin", "java")
		if _, err := os.Stat(java); err != nil {
			return "", fmt.Errorf("JAVA_HOME has no bin/java: %w", err)
		}
		return java, nil
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", errors.New("Apache Kafka needs Java 17 or newer and there is no java on the PATH: install one, set JAVA_HOME, or name running brokers in KAFKA_BROKERS")
	}
	return java, nil
}

func (k *Kafka) launch(ctx context.Context, cfg KafkaConfig) error {
	cache, err := defaultCacheDir(cfg.CacheDir)
	if err != nil {
		return err
	}
	if k.cp, err = classPath(ctx, newStore(cache, k.say)); err != nil {
		return err
	}
	if err := k.configure(ctx, cfg); err != nil {
		return err
	}
	if err := k.format(ctx); err != nil {
		return err
	}
	return k.run(ctx)
}

// classPath fetches every jar, four at a time.
func classPath(ctx context.Context, s *store) (string, error) {
	lines := strings.Fields(kafkaJars)
	jars := make([]string, len(lines)/2)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i := range jars {
		gav := strings.Split(lines[2*i], ":")
		a := artifact{group: gav[0], name: gav[1], version: gav[2], sha256: lines[2*i+1]}
		g.Go(func() (err error) {
			jars[i], err = s.fetch(ctx, a)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	return strings.Join(jars, string(os.PathListSeparator)), nil
}

// configure writes the server's configuration. Ports may change between runs:
// the log knows nodes by number only.
func (k *Kafka) configure(ctx context.Context, cfg KafkaConfig) error {
	var err error
	port := cfg.Port
	if port == 0 {
		if port, err = freePort(ctx); err != nil {
			return err
		}
	}
	controller, err := freePort(ctx)
	if err != nil {
		return err
	}
	k.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	listeners, advertised, protocols := furtherListeners(cfg.Listeners)
	properties := fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%[2]d
listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d%[4]s
advertised.listeners=PLAINTEXT://127.0.0.1:%[1]d%[5]s
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT%[6]s
num.network.threads=%[7]d
log.dirs=%[3]s
auto.create.topics.enable=false
num.partitions=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
log.segment.bytes=67108864
`, port, controller, filepath.Join(k.dir, "log"), listeners, advertised, protocols, networkThreads(cfg.Listeners))
	if err := writeAtomic(k.propertiesPath(), 0o600, strings.NewReader(properties)); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := writeAtomic(k.log4jPath(), 0o600, strings.NewReader(log4jProperties)); err != nil {
		return fmt.Errorf("write logging configuration: %w", err)
	}
	return nil
}

// furtherListeners returns what each of three properties gets added.
func furtherListeners(listeners []KafkaListener) (ports, advertised, protocols string) {
	for i, l := range listeners {
		name := fmt.Sprintf("PROXY%d", i+1)
		ports += fmt.Sprintf(",%s://127.0.0.1:%d", name, l.Port)
		advertised += fmt.Sprintf(",%s://%s", name, l.Advertised)
		protocols += fmt.Sprintf(",%s:PLAINTEXT", name)
	}
	return ports, advertised, protocols
}

// networkThreads is Kafka's default for one listener; many have one each, as every listener gets that
// many of its own.
func networkThreads(listeners []KafkaListener) int {
	if len(listeners) > 0 {
		return 1
	}
	return 3
}

// log4jProperties: warnings to the standard output, which is a file.
const log4jProperties = `rootLogger.level=WARN
rootLogger.appenderRef.out.ref=OUT
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c: %m%n
`

func (k *Kafka) propertiesPath() string { return filepath.Join(k.dir, "server.properties") }
func (k *Kafka) log4jPath() string      { return filepath.Join(k.dir, "log4j2.properties") }
func (k *Kafka) outPath() string        { return filepath.Join(k.dir, "kafka.log") }

// command runs a class of the class path with a modest heap.
func (k *Kafka) command(ctx context.Context, class string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, k.java, append([]string{
		"-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true",
		"-Dlog4j2.configurationFile=" + k.log4jPath(),
		"-cp", k.cp, class,
	}, args...)...)
	cmd.Dir = k.dir
	return cmd
}

// format prepares an empty log, once: meta.properties is its last step.
func (k *Kafka) format(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(k.dir, "log", "meta.properties")); err == nil {
		return nil
	}
	k.say("formatting Kafka's log")
	// Any 16 bytes in URL-safe base64 do for a cluster id: this folder's only
	// cluster may as well always have the same.
	cmd := k.command(ctx, "kafka.tools.StorageTool", "format", "--ignore-formatted",
		"--cluster-id", "UXVhZHJpbGxlLWVtYmVkZA", "--config", k.propertiesPath())
	cmd.SysProcAttr = serverAttr(nil, 0)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format the log: %w:\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (k *Kafka) run(ctx context.Context) error {
	out, err := openLog(k.outPath())
	if err != nil {
		return err
	}
	defer out.Close()
	k.say("starting Apache Kafka on %s", k.addr)
	cmd := k.command(context.Background(), "kafka.Kafka", k.propertiesPath())
	cmd.Stdout, cmd.Stderr = out, out
	// Its log recovers from a kill; an orderly end could outlast our successor's
	// patience.
	if k.proc, err = startProcess(cmd, nil, syscall.SIGKILL); err != nil {
		return err
	}
	if err := k.awaitReady(ctx); err != nil {
		return errors.Join(err, k.proc.stop(ctx, time.Second, syscall.SIGTERM, syscall.SIGKILL))
	}
	return nil
}

// awaitReady waits until the node answers with itself as a broker of the
// cluster: from then on topics can be created.
func (k *Kafka) awaitReady(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addr), kgo.RetryTimeout(time.Second))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		meta, err := admin.BrokerMetadata(ctx)
		if err == nil && len(meta.Brokers) > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w:\n%s", ctx.Err(), tail(k.outPath()))
		case <-k.proc.done:
			return fmt.Errorf("the server ended at once (%w):\n%s", ended(k.proc.err), tail(k.outPath()))
		case <-ticker.C:
		}
	}
}

// Addrs returns the host:port of the broker.
func (k *Kafka) Addrs() []string { return []string{k.addr} }

// Pid is the process id of the server.
func (k *Kafka) Pid() int { return k.proc.cmd.Process.Pid }

// Done is closed when the server has ended, for whatever reason.
func (k *Kafka) Done() <-chan struct{} { return k.proc.done }

// Stop shuts the server down in order, or kills it when ctx ends first. The
// data stays.
func (k *Kafka) Stop(ctx context.Context) error {
	defer k.lock.unlock()
	if err := k.proc.stop(ctx, 20*time.Second, syscall.SIGTERM, syscall.SIGKILL); err != nil {
		return fmt.Errorf("stop Kafka: %w", err)
	}
	return nil
}
