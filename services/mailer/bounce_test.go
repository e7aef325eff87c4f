package mailer

import (
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
)

var since = flowtest.Now.Add(-time.Hour)

// A mail that came back is known as that from then on, whatever else is heard of it and in whichever order; only one
// that was under way or taken can come back. A hard bounce says that the address is dead, once, as soon as it is known
// which address it was.
func TestBounceInEveryState(t *testing.T) {
	t.Parallel()
	hard, full := Bounce{OrderID: "o", Kind: Completed, Code: "5.1.1"}, Bounce{OrderID: "o", Kind: Completed, Code: "5.2.2"}
	sent := Mailed{OrderID: "o", Kind: Completed, Outcome: IsSent, AddressSince: since}
	refused := Mailed{OrderID: "o", Kind: Completed, Outcome: IsUndeliverable, Code: "550 5.1.1", Receiver: true, AddressSince: since}
	disliked := Mailed{OrderID: "o", Kind: Completed, Outcome: IsUndeliverable, Code: "550 5.7.1", AddressSince: since}
	for name, c := range map[string]struct {
		from   State
		inputs []any
		state  State
		code   string
		dead   int
	}{
		"sent, then back":                {Waiting, []any{sent, hard}, Bounced, "5.1.1", 1},
		"back before it was sent":        {Waiting, []any{hard, sent}, Bounced, "5.1.1", 1},
		"back, and the answer twice":     {Waiting, []any{hard, sent, sent}, Bounced, "5.1.1", 1},
		"back twice":                     {Waiting, []any{sent, hard, hard}, Bounced, "5.1.1", 1},
		"back, and the answer is lost":   {Waiting, []any{hard, Mailed{OrderID: "o", Kind: Completed, Outcome: IsSkipped}}, Bounced, "5.1.1", 0},
		"mailbox full":                   {Waiting, []any{sent, full}, Bounced, "5.2.2", 0},
		"mailbox full, before":           {Waiting, []any{full, sent}, Bounced, "5.2.2", 0},
		"full, then gone":                {Waiting, []any{sent, full, hard}, Bounced, "5.2.2", 0},
		"refused":                        {Waiting, []any{refused}, Undeliverable, "550 5.1.1", 1},
		"refused, and said so once more": {Waiting, []any{refused, hard}, Undeliverable, "550 5.1.1", 1},
		"the mail is not liked":          {Waiting, []any{disliked}, Undeliverable, "550 5.7.1", 0},
		"nobody to mail":                 {Skipped, []any{hard}, Skipped, "", 0},
		"sent":                           {Waiting, []any{sent}, Sent, "", 0},
	} {
		w := &World{}
		w.Mails.Loaded(MailKey("o", Completed), Mail{OrderID: "o", UserID: "u", Kind: Completed, State: c.from})
		for _, in := range c.inputs {
			out := flowtest.Decide(t, Topology, w, in)
			if flowtest.Told(out) != "" {
				t.Errorf("%s: told %q", name, flowtest.Told(out))
			}
			if _, is := in.(Bounce); is && out.Reply.Status != 204 {
				t.Errorf("%s: answered %d", name, out.Reply.Status)
			}
		}
		m, _ := w.Mails.Get(MailKey("o", Completed))
		if m.State != c.state || m.Code != c.code || len(w.Dead) != c.dead {
			t.Errorf("%s: %s %q and %d dead, want %s %q and %d", name, m.State, m.Code, len(w.Dead), c.state, c.code, c.dead)
		}
		for _, d := range w.Dead {
			if d.UserID != "u" || !d.Since.Equal(since) || d.Code != c.code {
				t.Errorf("%s: dead %+v", name, d)
			}
		}
	}
}

func TestBounceOfNothing(t *testing.T) {
	t.Parallel()
	w := &World{}
	out := flowtest.Decide(t, Topology, w, Bounce{OrderID: "o", Kind: Completed, Code: "5.1.1"})
	if out.Reply.Refusal == nil || out.Reply.Refusal.Status != 404 || w.Mails.Len() != 0 {
		t.Errorf("answered %+v", out.Reply)
	}
}

func TestHard(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"5.1.1": true, "550 5.1.1": true, "5.1.10": true, "5.1.2": true, "5.2.1": true, "550": true, "551": true, "553": true,
		"5.2.2": false, "552 5.2.2": false, "5.7.1": false, "550 5.7.1": false, "5.1.8": false, "553 5.1.7": false, "5.4.1": false,
		"5.0.0": false, "554": false, "552": false, "501": false, "": false, " ": false, "550 ": true,
	} {
		if Hard(code) != want {
			t.Errorf("%q: hard %v, want %v", code, !want, want)
		}
	}
}

func TestMessageKey(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"o", "0198e0a4-7c1e-7a35-9d5f-3b1d2c4e5f60", "a-b", "-"} {
		for _, kind := range Kinds() {
			if o, k, ok := ParseMessageKey(MessageKey(order, kind)); o != order || k != kind || !ok {
				t.Errorf("%s %s: %q %q %v", order, kind, o, k, ok)
			}
		}
	}
	for _, bad := range []string{"", "mail", "mail-", "mail-completed", "mail-completed-", "mail-newsletter-o", "completed-o", "xmail-completed-o"} {
		if o, k, ok := ParseMessageKey(bad); ok {
			t.Errorf("%q: %q %q", bad, o, k)
		}
	}
}
