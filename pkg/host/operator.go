package host

import (
	"context"
	"time"
)

// Operators says who hears of what needs a person.
type Operators struct {
	// Mail is the address list, Webhook a URL that gets a JSON POST; either may be empty.
	Mail    []string `env:"OPERATORS_MAIL"`
	Webhook string   `env:"OPERATORS_WEBHOOK"`
	// SMTP is host:port of the mail server; From the sender.
	SMTP string `env:"OPERATORS_SMTP"`
	From string `env:"OPERATORS_FROM" envDefault:"quadrille@localhost"`
	// Every is how often the lists are looked at; each group is told of once an hour.
	Every time.Duration `env:"OPERATORS_EVERY" envDefault:"30s"`
}

// Notice is one group of things that need a person.
type Notice struct {
	// Group is told of once an hour: parked/<service>/<type>/<fingerprint>, refund/refused, ...
	Group string `json:"group"`
	// Text is one sentence; Subjects the orders, some of them where there are many.
	Text     string    `json:"text"`
	Subjects []string  `json:"subjects"`
	Count    int       `json:"count"`
	Since    time.Time `json:"since"`
}

func (h *Host[W]) tellOperators(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
