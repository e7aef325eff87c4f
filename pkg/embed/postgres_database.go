package embed

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// URL returns the address of a database, signed in as its owner: the role
// that CreateDatabase gave it, by default of the same name.
func (p *Postgres) URL(database string) string {
	p.mu.Lock()
	owner, ok := p.owners[database]
	p.mu.Unlock()
	if !ok {
		owner = database
	}
	return p.urlAs(owner, database)
}

// AdminURL returns the address of a database, signed in as the superuser.
func (p *Postgres) AdminURL(database string) string {
	return p.urlAs(superuser, database)
}

func (p *Postgres) urlAs(role, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, password(p.secret, role)),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// password derives a role's password from the data folder's secret, so that
// nothing but the secret has to be kept, and no role can tell another's.
func password(secret, role string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(role))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// CreateDatabase makes a role that may log in and a database that belongs to
// it and lets nobody else in; what exists already stays as it is. An empty
// owner means a role of the database's name.
func (p *Postgres) CreateDatabase(ctx context.Context, name, owner string) error {
	if owner == "" {
		owner = name
	}
	p.creating.Lock()
	defer p.creating.Unlock()
	conn, err := pgx.Connect(ctx, p.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("create database %s: connect: %w", name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	role, db := pgx.Identifier{owner}.Sanitize(), pgx.Identifier{name}.Sanitize()
	for _, sql := range []string{
		"CREATE ROLE " + role + " LOGIN PASSWORD '" + password(p.secret, owner) + "'",
		"CREATE DATABASE " + db + " OWNER " + role,
		"REVOKE ALL ON DATABASE " + db + " FROM PUBLIC",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil && !exists(err) {
			return fmt.Errorf("create database %s: %w", name, err)
		}
	}
	p.mu.Lock()
	p.owners[name] = owner
	p.mu.Unlock()
	return nil
}

// exists: duplicate_object and duplicate_database say the work is done.
func exists(err error) bool {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return false
	}
	return pe.Code == "42710" || pe.Code == "42P04"
}
