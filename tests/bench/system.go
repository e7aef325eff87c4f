package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// System is all services, in a process of their own.
type System struct {
	Place Place

	site    *Site
	prefix  string
	cmd     *exec.Cmd
	ended   chan error
	log     *os.File
	serving Serving
}

// StartSystem starts all services in a child of this program, on databases and topics of their own.
func (s *Site) StartSystem(ctx context.Context, name string, serving Serving) (_ *System, err error) {
	y := &System{site: s, prefix: name + ".", ended: make(chan error, 1)}
	serving.Dir = filepath.Join(s.dir, name)
	serving.Brokers, serving.Prefix = s.Kafka.Addrs(), y.prefix
	serving.Databases = map[string]string{}
	if err := os.MkdirAll(serving.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	for _, service := range local.Services() {
		database := name + "_" + service
		if err := s.Postgres.CreateDatabase(ctx, database, ""); err != nil {
			return nil, err
		}
		serving.Databases[service] = s.Postgres.URL(database)
	}
	y.serving = serving
	if err := y.start(ctx); err != nil {
		return nil, errors.Join(err, y.Stop())
	}
	return y, nil
}

// start runs this program again as the services, and waits until it says where it is.
func (y *System) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	config, err := json.Marshal(y.serving)
	if err != nil {
		return err
	}
	if y.log, err = os.Create(filepath.Join(y.serving.Dir, "services.log")); err != nil {
		return err
	}
	y.cmd = exec.Command(self, "serve")
	y.cmd.Stdin, y.cmd.Stderr = bytes.NewReader(config), y.log
	// An interrupt at the terminal is for this program; should it be killed, the services go as well.
	y.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := y.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := y.cmd.Start(); err != nil {
		return fmt.Errorf("start the services: %w", err)
	}
	told := make(chan error, 1)
	go func() {
		told <- json.NewDecoder(bufio.NewReader(out)).Decode(&y.Place)
		_, _ = io.Copy(io.Discard, out)
		y.ended <- y.cmd.Wait()
	}()
	select {
	case err := <-told:
		if err != nil {
			return fmt.Errorf("the services ended before they were ready: %w\n%s", err, y.lastLines())
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("the services were not ready after two minutes\n%s", y.lastLines())
	}
}

func (y *System) lastLines() string {
	raw, err := os.ReadFile(y.log.Name())
	if err != nil {
		return ""
	}
	return string(raw[max(0, len(raw)-4000):])
}

// Stop ends the services.
func (y *System) Stop() error {
	if y.cmd == nil || y.cmd.Process == nil {
		return nil
	}
	_ = y.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-y.ended:
		if err != nil {
			return fmt.Errorf("the services: %w\n%s", err, y.lastLines())
		}
	case <-time.After(40 * time.Second):
		_ = y.cmd.Process.Kill()
		return errors.New("the services did not stop")
	}
	return y.log.Close()
}

// Feed has the services place orders without HTTP.
func (y *System) Feed(ctx context.Context, load Load) (Outcome, error) {
	var o Outcome
	err := y.control(ctx, "/feed", load, &o)
	return o, err
}

// Rest waits until nothing is under way.
func (y *System) Rest(ctx context.Context) error { return y.control(ctx, "/rest", struct{}{}, nil) }

func (y *System) control(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, y.Place.Control+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", path, err, y.lastLines())
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s\n%s", path, raw, y.lastLines())
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// databaseBytes is what the system's databases take.
func (y *System) databaseBytes(ctx context.Context) (total int64, err error) {
	conn, err := pgx.Connect(ctx, y.site.Postgres.AdminURL("postgres"))
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	for _, service := range local.Services() {
		var size int64
		if err := conn.QueryRow(ctx, `SELECT pg_database_size($1)`, y.databaseName(service)).Scan(&size); err != nil {
			return 0, err
		}
		total += size
	}
	return total, nil
}

func (y *System) databaseName(service string) string {
	return y.prefix[:len(y.prefix)-1] + "_" + service
}
