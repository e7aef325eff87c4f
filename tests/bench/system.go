package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/quadrille-io/quadrille/services/quadrille/local"
)

// System is all services, in a process of their own, and the outside world that they call, in another.
type System struct {
	Place Place

	site     *Site
	prefix   string
	services *child
	outside  *child
	serving  Serving
}

// StartSystem starts all services in children of this program, on databases and topics of their own.
func (s *Site) StartSystem(ctx context.Context, name string, serving Serving) (_ *System, err error) {
	y := &System{site: s, prefix: name + "."}
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
	if err := y.start(); err != nil {
		return nil, errors.Join(err, y.Stop())
	}
	return y, nil
}

// start runs the outside world and then the services, and waits until both say where they are.
func (y *System) start() (err error) {
	if y.outside, err = fork("simulate", y.serving.Dir, Simulating{Dir: filepath.Join(y.serving.Dir, "outside")}, &y.serving.Outside); err != nil {
		return err
	}
	y.services, err = fork("serve", y.serving.Dir, y.serving, &y.Place)
	return err
}

// Stop ends the services, and then what they call.
func (y *System) Stop() error { return errors.Join(y.services.stop(), y.outside.stop()) }

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
		return fmt.Errorf("%s: %w\n%s", path, err, y.services.lastLines())
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s\n%s", path, raw, y.services.lastLines())
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
