package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

// session is what all commands share: where to print, and where the system is.
type session struct {
	root *root
	out  io.Writer
	err  io.Writer

	devEnv map[string]string
}

// variable reads one of the names of dev.env. The environment wins over the file.
func (s *session) variable(name string) (string, error) {
	if value := os.Getenv(name); value != "" {
		return value, nil
	}
	path := filepath.Join(s.root.Dir, "dev.env")
	if s.devEnv == nil {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%w: no system runs in %s (start one with 'quadrille up'), and %s is not set", rest.ErrUnreachable, s.root.Dir, name)
		}
		if err != nil {
			return "", fmt.Errorf("read dev.env: %w", err)
		}
		defer file.Close()
		if s.devEnv, err = readDevEnv(file); err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
	}
	if value := s.devEnv[name]; value != "" {
		return value, nil
	}
	return "", fmt.Errorf("%w: %s is neither set nor in %s", rest.ErrUnreachable, name, path)
}

// readDevEnv reads lines like export K='v'.
func readDevEnv(r io.Reader) (map[string]string, error) {
	variables := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, found := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if !found || len(value) < 2 || value[0] != '\'' || value[len(value)-1] != '\'' {
			continue
		}
		variables[name] = strings.ReplaceAll(value[1:len(value)-1], `'\''`, "'")
	}
	return variables, lines.Err()
}

// client speaks to the gateway with the token that the variable holds.
func (s *session) client(token string) (rest.Client, error) {
	base, err := s.variable("GATEWAY_URL")
	if err != nil {
		return rest.Client{}, err
	}
	value, err := s.variable(token)
	if err != nil {
		return rest.Client{}, err
	}
	return rest.Client{BaseURL: strings.TrimSuffix(base, "/"), Token: value}, nil
}

func (s *session) customer(second bool) (rest.Client, error) {
	if second {
		return s.client("CUSTOMER2_TOKEN")
	}
	return s.client("CUSTOMER_TOKEN")
}

func (s *session) operator() (rest.Client, error) { return s.client("OPERATOR_TOKEN") }

// printJSON writes one value as one line.
func (s *session) printJSON(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return s.printf("%s\n", line)
}

func (s *session) printf(format string, args ...any) error {
	if _, err := fmt.Fprintf(s.out, format, args...); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// table prints rows in columns; the first row is the head.
func (s *session) table(rows [][]string) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// money writes an amount of minor units for a person: ₩10,050.
func money(amount int64, currency string) string {
	digits := fmt.Sprint(amount)
	sign := ""
	if amount < 0 {
		sign, digits = "-", digits[1:]
	}
	if currency != "KRW" && currency != "JPY" {
		digits = fmt.Sprintf("%03s", digits)
		return sign + grouped(digits[:len(digits)-2]) + "." + digits[len(digits)-2:] + " " + currency
	}
	if currency == "KRW" {
		return sign + "₩" + grouped(digits)
	}
	return sign + grouped(digits) + " " + currency
}

func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
