package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process that ends although nobody asked for it is started again after a pause, as Kubernetes would;
// the pause doubles up to its maximum and begins anew after a minute of work.
const (
	restartPause    = time.Second
	restartPauseMax = 30 * time.Second
	restartCalm     = time.Minute
)

// Process is one replica of a service, running or not. Its ports and its log stay the same over restarts.
// Its methods may be called from many goroutines.
type Process struct {
	Service string
	Replica int

	cluster             *Cluster
	httpAddr, adminAddr string
	logPath             string

	// changing serialises Start, Kill and Terminate.
	changing sync.Mutex

	mu      sync.Mutex
	binary  string
	env     map[string]string
	run     *execution    // nil unless running
	wanted  bool          // the supervisor keeps it running
	stop    chan struct{} // closed when the supervisor shall not start it again
	ended   chan struct{} // closed when the supervisor has returned
	stopped bool          // SIGSTOPped
	starts  int
}

// Death is the end of a process that nobody asked for.
type Death struct {
	Service string    `json:"service"`
	Replica int       `json:"replica"`
	At      time.Time `json:"at"`
	// Age is how long it had run, in nanoseconds.
	Age time.Duration `json:"age"`
	// How it ended ("exit status 1", "signal: killed") and the last lines of its log.
	How  string `json:"how"`
	Tail string `json:"tail"`
}

// Name is "order-1": service and replica.
func (p *Process) Name() string { return fmt.Sprintf("%s-%d", p.Service, p.Replica) }

// URL is the base of the replica's API, AdminURL of /livez, /readyz and /metrics.
func (p *Process) URL() string { return "http://" + p.httpAddr }

// AdminURL is the base of /livez, /readyz and /metrics.
func (p *Process) AdminURL() string { return "http://" + p.adminAddr }

// Log is the file that takes its output, of all its lives.
func (p *Process) Log() string { return p.logPath }

// Use makes the next starts run another program.
func (p *Process) Use(binary string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.binary = binary
}

// Set changes what the next starts are told: one variable of the environment.
func (p *Process) Set(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.env[name] = value
}

// Running says whether there is a process now, a stopped one included.
func (p *Process) Running() bool { return p.Pid() != 0 }

// Wanted says whether it is meant to run: it may be between a death and the next start.
func (p *Process) Wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wanted
}

// Paused says whether it was paused and not resumed.
func (p *Process) Paused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// Starts counts how often the process was started, by the supervisor or by Start.
func (p *Process) Starts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts
}

// Pid is 0 while there is none.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return 0
	}
	return p.run.pid()
}

// Start starts the process, unless it is meant to run already. It does not wait until it is ready.
func (p *Process) Start() error {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted {
		return nil
	}
	if p.cluster.isClosed() {
		return errors.New("the cluster is closed")
	}
	run, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name(), err)
	}
	p.run, p.wanted = run, true
	p.stop, p.ended = make(chan struct{}), make(chan struct{})
	go p.supervise(run, p.stop, p.ended)
	return nil
}

// launch starts the program; mu is held.
func (p *Process) launch() (*execution, error) {
	out, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer out.Close()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TZ=UTC"}
	for _, name := range slices.Sorted(maps.Keys(p.env)) {
		env = append(env, name+"="+p.env[name])
	}
	p.starts++
	p.stopped = false
	return execute(p.binary, filepath.Dir(p.logPath), env, out)
}

// supervise starts the process again until it is told to stop.
func (p *Process) supervise(run *execution, stop, ended chan struct{}) {
	defer close(ended)
	pause := restartPause
	for {
		begin := time.Now()
		<-run.done
		p.mu.Lock()
		p.run, p.stopped = nil, false
		p.mu.Unlock()
		if isClosed(stop) {
			return
		}
		p.cluster.died(p, time.Since(begin), run.how())
		if time.Since(begin) > restartCalm {
			pause = restartPause
		}
		if run = p.again(stop, &pause); run == nil {
			return
		}
	}
}

// again starts the process after the pause; nil means that it was told to stop.
func (p *Process) again(stop chan struct{}, pause *time.Duration) *execution {
	for {
		timer := time.NewTimer(*pause)
		select {
		case <-stop:
			timer.Stop()
			return nil
		case <-timer.C:
		}
		*pause = min(2**pause, restartPauseMax)
		p.mu.Lock()
		if isClosed(stop) {
			p.mu.Unlock()
			return nil
		}
		run, err := p.launch()
		p.run = run
		p.mu.Unlock()
		if err == nil {
			return run
		}
		p.cluster.log.Error("start again failed", "process", p.Name(), "error", err)
	}
}

// Kill ends the process as a crash does (SIGKILL) and returns once it is gone. It stays down.
func (p *Process) Kill() {
	p.changing.Lock()
	defer p.changing.Unlock()
	ended, run := p.unwant()
	if ended == nil {
		return
	}
	run.signal(syscall.SIGKILL)
	<-ended
}

// Terminate ends the process in order, as a deployment does (SIGTERM), and returns once it is gone. It
// stays down. An exit other than 0 is an error and a Death; when ctx ends first, it is killed.
func (p *Process) Terminate(ctx context.Context) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	begin := time.Now()
	ended, run := p.unwant()
	if ended == nil {
		return nil
	}
	run.signal(syscall.SIGTERM)
	run.signal(syscall.SIGCONT)
	select {
	case <-ended:
	case <-ctx.Done():
		run.signal(syscall.SIGKILL)
		<-ended
		return fmt.Errorf("terminate %s: still running after %s: %w", p.Name(), time.Since(begin).Round(time.Second), ctx.Err())
	}
	if run != nil && run.err != nil {
		p.cluster.died(p, time.Since(begin), "at SIGTERM: "+run.how())
		return fmt.Errorf("terminate %s: %w", p.Name(), run.err)
	}
	return nil
}

// unwant tells the supervisor to let the process end; nil if it was not meant to run.
func (p *Process) unwant() (chan struct{}, *execution) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wanted {
		return nil, nil
	}
	p.wanted = false
	close(p.stop)
	return p.ended, p.run
}

// Pause stops the process where it stands (SIGSTOP): its connections stay open, its clocks go on.
func (p *Process) Pause() error { return p.freeze(syscall.SIGSTOP, true) }

// Resume lets a paused process go on (SIGCONT).
func (p *Process) Resume() error { return p.freeze(syscall.SIGCONT, false) }

func (p *Process) freeze(signal syscall.Signal, stopped bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return fmt.Errorf("%s: %s: not running", signal, p.Name())
	}
	p.run.signal(signal)
	p.stopped = stopped
	return nil
}

// Ready waits until the process says that it is ready.
func (p *Process) Ready(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w\n%s", p.Name(), ctx.Err(), err, tail(p.logPath))
		case <-ticker.C:
		}
	}
}

// ready asks once.
func (p *Process) ready(ctx context.Context) error {
	if p.Pid() == 0 {
		return errors.New("not running")
	}
	if p.Service == simulatorName {
		return probe(ctx, p.URL()+"/messages?limit=1") // the inbox, started last
	}
	return probe(ctx, p.AdminURL()+"/readyz")
}

// probeClient keeps no connections: one to a process that was killed would answer for it.
var probeClient = &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func probe(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := probeClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(body)))
	}
	return nil
}

// died records a death.
func (c *Cluster) died(p *Process, age time.Duration, how string) {
	d := Death{Service: p.Service, Replica: p.Replica, At: time.Now().UTC(), Age: age, How: how, Tail: tail(p.logPath)}
	c.record(d)
}

func (c *Cluster) record(d Death) {
	c.log.Warn("a process ended by itself", slog.String("process", fmt.Sprintf("%s-%d", d.Service, d.Replica)),
		slog.String("how", d.How), slog.Duration("age", d.Age))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaths = append(c.deaths, d)
}

func (c *Cluster) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
