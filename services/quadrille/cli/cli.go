// Package cli is the command line of the one binary: `quadrille up`, and the commands that speak to a
// running system through its public API, the way any other client does.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/quadrille-io/quadrille/pkg/run"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/reconcile"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitUnsettled   = 4
)

const description = `An order backend in events: runs it, and speaks to it.

Commands find a system that 'quadrille up' started by the dev.env in its folder; environment variables
of the same names win (GATEWAY_URL, CUSTOMER_TOKEN, ...).

Exit codes: 0 done (also when the order that was followed ended CANCELLED: see the last line), 1 refused
or failed, 2 wrong usage, 3 nobody answers there, 4 the order was not settled in time. Of verify: 0 all
well, 1 differences, 2 not everything could be compared.`

// root is every command.
type root struct {
	Dir     string           `help:"Data folder of 'quadrille up'." env:"QUADRILLE_DIR" default:".quadrille" type:"path" placeholder:"DIR"`
	JSON    bool             `name:"json" help:"Print JSON, one value a line."`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Up       upCommand       `cmd:"" help:"Start everything in this process, seeded: for trying and developing."`
	Order    orderCommand    `cmd:"" help:"Place, follow, show and cancel orders."`
	Ship     shipCommand     `cmd:"" help:"Let the simulated carrier move an order's parcel."`
	Fault    faultCommand    `cmd:"" help:"Break a simulator of the outside world, or mend it."`
	DLQ      dlqCommand      `cmd:"" name:"dlq" help:"Orders that are parked: list them, replay them."`
	Events   eventsCommand   `cmd:"" help:"The events on the topics."`
	Verify   verifyCommand   `cmd:"" help:"Compare what the services believe: nothing lost, nothing twice, nobody stuck."`
	Repair   repairCommand   `cmd:"" help:"What verify prints as the way to mend a difference."`
	Topology topologyCommand `cmd:"" help:"Who takes which event, and what may follow from it."`
	Product  productCommand  `cmd:"" help:"What is for sale."`
	Coupon   couponCommand   `cmd:"" help:"Coupons of the customer."`
}

// Main runs the command line and returns the exit code. A first interrupt ends the command in order, a
// second one the process.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	var commands root
	exit := -1
	s := &session{root: &commands, out: stdout, err: stderr}
	parser, err := kong.New(&commands,
		kong.Name("quadrille"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }), kong.UsageOnError(),
		kong.Vars{"version": run.BuildInfo().Version},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s),
	)
	if err != nil {
		fmt.Fprintln(stderr, "quadrille:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 { // --help and --version
		return exit
	}
	if err != nil {
		parser.Errorf("%s", err)
		return exitUsage
	}
	return report(stderr, parsed.Run())
}

// errUsage marks what the caller has to write differently.
var errUsage = errors.New("usage")

// errUnsettled is the end of waiting for an order.
var errUnsettled = errors.New("not settled in time")

// report says what went wrong and picks the exit code.
func report(stderr io.Writer, err error) int {
	code := exitFailed
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled):
		return 130 // as a shell reports an interrupt
	case errors.Is(err, reconcile.ErrUnread):
		code = exitUsage // of verify: whoever did not answer, this is neither "all well" nor a difference
	case errors.Is(err, rest.ErrUnreachable):
		code = exitUnreachable
	case errors.Is(err, errUnsettled):
		code = exitUnsettled
	case errors.Is(err, errUsage):
		code = exitUsage
	}
	fmt.Fprintln(stderr, "quadrille:", err)
	return code
}
