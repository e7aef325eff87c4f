package fault_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// state is an error as a database driver has it.
type state string

func (s state) Error() string    { return "FATAL " + string(s) }
func (s state) SQLState() string { return string(s) }

func TestOutage(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	tests := map[string]struct {
		err  error
		want bool
	}{
		"nothing listens":   {fmt.Errorf("read order: failed to connect: %w", refused), true},
		"connection reset":  {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		"ended in a row":    {fmt.Errorf("read order: %w", io.ErrUnexpectedEOF), true},
		"closed":            {net.ErrClosed, true},
		"in recovery":       {fmt.Errorf("connect: %w", state("57P03")), true},
		"going down":        {state("57P01"), true},
		"crashed":           {errors.Join(state("57P02"), errors.New("roll back")), true},
		"no connection":     {state("08006"), true},
		"too many":          {state("53300"), true},
		"statement timeout": {state("57014"), false},
		"no such table":     {state("42P01"), false},
		"a rule is broken":  {state("23514"), false},
		"anything else":     {errors.New("no idea"), false},
		"nothing":           {nil, false},
	}
	for name, tt := range tests {
		if got := fault.Outage(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
