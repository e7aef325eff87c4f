package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/quadrille-io/quadrille/pkg/embed"
)

// Site is a PostgreSQL and an Apache Kafka of its own, both empty at the start.
type Site struct {
	Postgres *embed.Postgres
	Kafka    *embed.Kafka

	dir string
}

// postgresSettings are the server's, the same for every contender.
var postgresSettings = map[string]string{
	"max_connections":              "400",
	"shared_buffers":               "1GB",
	"synchronous_commit":           "on",
	"max_wal_size":                 "8GB",
	"checkpoint_timeout":           "15min",
	"autovacuum_naptime":           "10s",
	"shared_preload_libraries":     "pg_stat_statements",
	"pg_stat_statements.track":     "all",
	"track_io_timing":              "off",
	"effective_io_concurrency":     "64",
	"autovacuum_max_workers":       "3",
	"bgwriter_lru_maxpages":        "400",
	"maintenance_work_mem":         "256MB",
	"pg_stat_statements.max":       "5000",
	"checkpoint_completion_target": "0.9",
}

// OpenSite starts both servers on empty data under dir. The database's settings are those of every measurement, and
// those of extra, which is nil but for a trial.
func OpenSite(ctx context.Context, dir string, extra map[string]string) (_ *Site, err error) {
	s := &Site{}
	settings := maps.Clone(postgresSettings)
	maps.Copy(settings, extra)
	if s.dir, err = os.MkdirTemp(dir, "site-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	var start errgroup.Group
	start.Go(func() (err error) {
		s.Postgres, err = embed.StartPostgres(ctx, embed.PostgresConfig{
			DataDir: filepath.Join(s.dir, "postgres"), Fsync: true, Settings: settings,
		})
		return err
	})
	start.Go(func() (err error) {
		s.Kafka, err = embed.StartKafka(ctx, embed.KafkaConfig{DataDir: filepath.Join(s.dir, "kafka")})
		return err
	})
	if err := start.Wait(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// restart starts PostgreSQL again on its data, with other settings.
func (s *Site) restart(ctx context.Context, settings map[string]string) error {
	stop, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.Postgres.Stop(stop); err != nil {
		return err
	}
	var err error
	s.Postgres, err = embed.StartPostgres(ctx, embed.PostgresConfig{
		DataDir: filepath.Join(s.dir, "postgres"), Fsync: true, Settings: settings,
	})
	return err
}

// Close stops both and removes their data.
func (s *Site) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	if s.Kafka != nil {
		errs = append(errs, s.Kafka.Stop(ctx))
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop(ctx), os.RemoveAll(s.Postgres.DataDir()))
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// kafkaBytes is what the log of topics with the prefix takes on disk.
func (s *Site) kafkaBytes(prefix string) (int64, error) {
	return folderBytes(filepath.Join(s.dir, "kafka", "log"), prefix)
}

// folderBytes adds up the segments (not the preallocated indexes) of the partitions whose names begin with prefix.
func folderBytes(dir, prefix string) (total int64, err error) {
	files, err := filepath.Glob(filepath.Join(dir, prefix+"*", "*.log"))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return 0, err
		}
		total += info.Size()
	}
	return total, nil
}
