package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/quadrille-io/quadrille/services/choreography"
	"github.com/quadrille-io/quadrille/services/quadrille/rest"
)

type topologyCommand struct{}

// Run prints the declared topology: what this binary does, whether or not it runs anywhere.
func (c *topologyCommand) Run(s *session) error {
	rows := [][]string{{"SERVICE", "TAKES", "", "MAY EMIT", "MAY CALL"}}
	for _, t := range choreography.Topologies() {
		if s.root.JSON {
			if err := s.printJSON(t); err != nil {
				return err
			}
			continue
		}
		if len(t.Listens) > 0 {
			rows = append(rows, []string{t.Service, "every event", strings.Join(t.Listens, " "), "", ""})
		}
		for _, e := range t.Edges {
			emits := make([]string, 0, len(e.Emits))
			for _, name := range e.Emits {
				emits = append(emits, shortName(name))
			}
			rows = append(rows, []string{t.Service, e.Kind.String(), shortName(e.Input), strings.Join(emits, ", "), strings.Join(e.Calls, ", ")})
		}
	}
	if s.root.JSON {
		return nil
	}
	return s.table(rows)
}

func shortName(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

type productCommand struct {
	List productListCommand `cmd:"" help:"List the products."`
}

type productListCommand struct {
	Query string `help:"Part of the name or id."`
	Limit int    `help:"Most to show." default:"100"`
}

// Run lists the products.
func (c *productListCommand) Run(ctx context.Context, s *session) error {
	client, err := s.customer(false)
	if err != nil {
		return err
	}
	var list struct {
		Data    []json.RawMessage `json:"data"`
		HasMore bool              `json:"hasMore"`
	}
	query := url.Values{"limit": {fmt.Sprint(c.Limit)}}
	if c.Query != "" {
		query.Set("query", c.Query)
	}
	if err := client.Get(ctx, "/api/v1/products?"+query.Encode(), &list); err != nil {
		return err
	}
	rows := [][]string{{"PRODUCT", "PRICE", "LEFT", "NAME"}}
	for _, raw := range list.Data {
		if s.root.JSON {
			if err := s.printJSON(raw); err != nil {
				return err
			}
			continue
		}
		var p struct {
			ProductID, Name, Currency string
			Price, Quantity           int64
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return fmt.Errorf("decode a product: %w", err)
		}
		rows = append(rows, []string{p.ProductID, money(p.Price, p.Currency), fmt.Sprint(p.Quantity), p.Name})
	}
	if s.root.JSON {
		return nil
	}
	if list.HasMore {
		rows = append(rows, []string{"... there are more: --limit, --query"})
	}
	return s.table(rows)
}

type couponCommand struct {
	Issue couponIssueCommand `cmd:"" help:"Take a coupon of a policy, first come, first served."`
}

type couponIssueCommand struct {
	PolicyID string `arg:"" name:"policy-id" optional:"" default:"WELCOME" help:"The policy."`
	User2    bool   `name:"user2" help:"As the second customer."`
}

// Run issues the coupon; who has it already gets the same one.
func (c *couponIssueCommand) Run(ctx context.Context, s *session) error {
	client, err := s.customer(c.User2)
	if err != nil {
		return err
	}
	var coupon struct{ CouponID, PolicyID, Status string }
	res, err := client.Call(ctx, rest.Request{
		Method: http.MethodPost, Path: "/api/v1/coupon-policies/" + url.PathEscape(c.PolicyID) + "/issue",
	}, &coupon)
	if err != nil {
		return err
	}
	if s.root.JSON {
		return s.printf("%s\n", res.Body)
	}
	return s.printf("coupon %s of %s: %s\n", coupon.CouponID, coupon.PolicyID, coupon.Status)
}
