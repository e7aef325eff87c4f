package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/services/quadrille/rest"
	"github.com/quadrille-io/quadrille/services/reconcile"
)

// errDiffers is the end of a comparison that found differences; they are printed by then.
var errDiffers = errors.New("the books do not agree")

type verifyCommand struct {
	Order string        `help:"Compare this order alone." placeholder:"ID"`
	Wait  time.Duration `help:"Time between the two looks." default:"10s"`
	Pause time.Duration `help:"Waited after each page that is read: the shop goes on." default:"25ms"`
	Stuck time.Duration `help:"How long an order may wait beyond its deadline, or for an undo." default:"5m"`
}

// Run compares the services' books and prints what does not agree. It fails with exit code 1 if anything
// does not, and with 2 if not everything could be compared: that is never told as "all well".
func (c *verifyCommand) Run(ctx context.Context, s *session) error {
	if c.Wait < 0 || c.Stuck < 0 || c.Pause < 0 {
		return fmt.Errorf("%w: --wait, --stuck and --pause are not negative", errUsage)
	}
	ops, err := s.operator()
	if err != nil {
		return err
	}
	options := reconcile.Options{Wait: c.Wait, Stuck: c.Stuck}
	if c.Order != "" {
		options.Only = &reconcile.Scope{Orders: []string{c.Order}}
	}
	report, err := reconcile.Reader{Get: ops.Get, Page: 1000, Pause: c.Pause}.Verify(ctx, options)
	if err != nil {
		return unread(err)
	}
	if s.root.JSON {
		err = s.printJSON(report)
	} else {
		err = s.printReport(report, c.Order != "")
	}
	switch {
	case err != nil:
		return err
	case len(report.Differences) > 0:
		return fmt.Errorf("%w in %d places", errDiffers, len(report.Differences))
	case len(report.Open) > 0:
		return fmt.Errorf("%w: %s", reconcile.ErrUnread, report.Open[0])
	}
	return nil
}

// unread says that nothing is known, whoever did not answer: the gateway or a service behind it.
func unread(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, reconcile.ErrUnread) {
		return err
	}
	return fmt.Errorf("%w: %w", reconcile.ErrUnread, err)
}

func (s *session) printReport(r reconcile.Report, one bool) error {
	c := r.Checked
	text := fmt.Sprintf("checked %d orders (%d of them under way)", c.Orders, c.InFlight)
	if !one {
		text += fmt.Sprintf(", %d products, %d members with %d points, %d coupon policies, %d spent coupons",
			c.Products, c.Members, c.Points, c.Policies, c.Coupons)
	}
	for _, currency := range sortedCurrencies(c.Money) {
		m := c.Money[currency]
		text += fmt.Sprintf(", %s captured and %s of it refunded", money(m.Captured, currency), money(m.Refunded, currency))
	}
	if err := s.printf("%s\n", text); err != nil {
		return err
	}
	for _, d := range r.Differences {
		if err := s.printDifference(d); err != nil {
			return err
		}
	}
	for _, open := range r.Open {
		if err := s.printf("\nnot judged: %s\n", open); err != nil {
			return err
		}
	}
	if len(r.Differences)+len(r.Open) == 0 {
		return s.printf("nothing lost, nothing twice, nobody stuck\n")
	}
	return nil
}

func sortedCurrencies(m map[string]reconcile.Money) []string {
	var all []string
	for currency := range m {
		all = append(all, currency)
	}
	slices.Sort(all)
	return all
}

// printDifference prints one difference: the sentence, the order's timeline, and what to do.
func (s *session) printDifference(d reconcile.Difference) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s  %s\n  %s\n", d.Rule, d.Row, d.Sentence)
	for _, raw := range d.Timeline {
		var e struct {
			OccurredAt             time.Time
			Service, Type, Summary string
			Ignored                *string
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("read the timeline of %s: %w", d.OrderID, err)
		}
		note := e.Summary
		if e.Ignored != nil {
			note += " (ignored: " + *e.Ignored + ")"
		}
		fmt.Fprintf(&b, "    %s  %-8s %-22s %s\n", e.OccurredAt.Local().Format(time.TimeOnly), e.Service, e.Type, note)
	}
	if d.Advice != "" {
		fmt.Fprintf(&b, "  look at: %s\n", d.Advice)
	}
	for _, command := range d.Repair {
		fmt.Fprintf(&b, "  repair:  %s\n", command)
	}
	return s.printf("%s", b.String())
}

type repairCommand struct {
	Resend  repairResendCommand  `cmd:"" help:"Have a service publish an event of an order (or product) again."`
	Recount repairRecountCommand `cmd:"" help:"Set a counter to what its own rows add up to."`
}

type repairResendCommand struct {
	ID     string   `arg:"" help:"The order, or the product."`
	Types  []string `arg:"" help:"Type of the event: PaymentCancelled. Of several the newest."`
	Reason string   `help:"Why; kept in the audit." default:"repair by the command line"`
}

// Run has the event published again.
func (c *repairResendCommand) Run(ctx context.Context, s *session) error {
	ops, err := s.operator()
	if err != nil {
		return err
	}
	var sent struct {
		EventID     string `json:"eventId"`
		Type        string `json:"type"`
		CausationID string `json:"causationId"`
	}
	body := map[string]any{"subject": c.ID, "types": c.Types, "reason": c.Reason}
	if err := ops.Post(ctx, "/ops/v1/events/resend", body, &sent); err != nil {
		return err
	}
	if s.root.JSON {
		return s.printJSON(sent)
	}
	return s.printf("%s of %s is published again as %s\n", shortName(sent.Type), c.ID, sent.EventID)
}

type repairRecountCommand struct {
	What   string `arg:"" help:"product, policy or member." enum:"product,policy,member"`
	ID     string `arg:"" help:"Its id."`
	Reason string `help:"Why; kept in the audit." default:"repair by the command line"`
}

// Run has the counter set.
func (c *repairRecountCommand) Run(ctx context.Context, s *session) error {
	ops, err := s.operator()
	if err != nil {
		return err
	}
	return c.send(ctx, s, ops)
}

func (c *repairRecountCommand) send(ctx context.Context, s *session, ops rest.Client) error {
	path, body := "", map[string]any{"reason": c.Reason}
	switch c.What {
	case "product":
		path = "/ops/v1/products/" + url.PathEscape(c.ID) + "/recount"
	case "policy":
		path = "/ops/v1/coupon-policies/" + url.PathEscape(c.ID) + "/recount"
	case "member":
		path, body["userId"] = "/ops/v1/points/recount", c.ID
	}
	var counted json.RawMessage
	if err := ops.Post(ctx, path, body, &counted); err != nil {
		return err
	}
	return s.printf("%s\n", counted)
}
