package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// request is one call before it is known where it goes.
type request struct {
	history.Invocation
	method, path string
	token        string
	prefer       string
	body         any
	// wait is how long the server may take beyond an ordinary answer.
	wait time.Duration
}

// answer is what of any response is looked at.
type answer struct {
	OrderID  string            `json:"orderId"`
	Version  int64             `json:"version"`
	Status   json.RawMessage   `json:"status"`
	Code     string            `json:"code"`
	CouponID string            `json:"couponId"`
	Data     []json.RawMessage `json:"data"`
	Problems []struct {
		Code string `json:"code"`
	} `json:"problems"`
}

// once makes one call at one gateway and logs it.
func (c *Client) once(ctx context.Context, r request) history.Completion {
	select {
	case c.calls <- struct{}{}:
		defer func() { <-c.calls }()
	case <-ctx.Done():
		return history.Completion{Outcome: history.Fail, Error: "not sent"}
	}
	sent := c.opt.History.Invoke(r.Invocation)
	end := c.send(ctx, c.opt.Gateways[r.Gateway]+r.path, r)
	end.N = sent.N
	c.opt.History.Complete(end)
	return end
}

func (c *Client) send(ctx context.Context, url string, r request) history.Completion {
	ctx, cancel := context.WithTimeout(ctx, callTimeout+r.wait)
	defer cancel()
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return history.Completion{Outcome: history.Fail, Error: err.Error()}
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, url, body)
	if err != nil {
		return history.Completion{Outcome: history.Fail, Error: err.Error()}
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Authorization": "Bearer " + r.token, "Idempotency-Key": r.Key, "Prefer": r.prefer,
	} {
		if value != "" && value != "Bearer " {
			req.Header.Set(name, value)
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return unanswered(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		end := unanswered(err)
		end.Status = res.StatusCode
		return end
	}
	return read(res, content)
}

// unanswered: what failed before the connection was there was surely not sent; of all else nobody knows.
func unanswered(err error) history.Completion {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return history.Completion{Outcome: history.Fail, Code: codeUnreachable, Error: err.Error()}
	}
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in time"
	}
	return history.Completion{Outcome: history.Unknown, Error: text}
}

// codeUnreachable stands for a call that surely was not sent.
const codeUnreachable = "unreachable"

// read judges an answer by its status: 5xx and 408 leave open whether it was done.
func read(res *http.Response, content []byte) history.Completion {
	end := history.Completion{
		Status: res.StatusCode, Outcome: history.OK, Replayed: res.Header.Get("Idempotency-Replayed") == "true",
	}
	var a answer
	if len(content) > 0 && content[0] == '{' {
		if err := json.Unmarshal(content, &a); err != nil {
			end.Outcome, end.Error = history.Unknown, "the answer cannot be read: "+err.Error()
			return end
		}
	}
	switch {
	case res.StatusCode >= 500, res.StatusCode == http.StatusRequestTimeout:
		end.Outcome, end.Code = history.Unknown, a.Code
	case res.StatusCode >= 400:
		end.Outcome, end.Code = history.Fail, a.Code
	default:
		end.Order, end.Version, end.Coupon, end.Count = a.OrderID, a.Version, a.CouponID, len(a.Data)
		for _, problem := range a.Problems { // what a preview objects to
			end.Code = strings.TrimSpace(end.Code + " " + problem.Code)
		}
		if end.Order != "" {
			end.State = strings.Trim(string(a.Status), `"`)
		}
	}
	return end
}

// settled says that a call needs no repetition.
func settled(end history.Completion) bool {
	return end.Outcome == history.OK || end.Outcome == history.Fail && end.Code != codeUnreachable && end.Status != http.StatusTooManyRequests
}

// insist repeats a call, which has a key or changes nothing, at all gateways in turn until its outcome is
// known or patience ends.
func (c *Client) insist(ctx context.Context, rng *rand.Rand, r request) history.Completion {
	deadline := time.Now().Add(patience)
	wait := 100 * time.Millisecond
	for {
		r.Attempt++
		end := c.once(ctx, r)
		if settled(end) || time.Now().After(deadline) {
			return end
		}
		r.Gateway = (r.Gateway + 1) % len(c.opt.Gateways)
		if !c.pause(ctx, wait+rand.N(wait)) {
			return end
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// anywhere makes a call without a key: once, unless it surely was not sent.
func (c *Client) anywhere(ctx context.Context, r request) history.Completion {
	end := history.Completion{}
	for range c.opt.Gateways {
		r.Attempt++
		if end = c.once(ctx, r); end.Code != codeUnreachable {
			return end
		}
		r.Gateway = (r.Gateway + 1) % len(c.opt.Gateways)
	}
	return end
}

func (c *Client) gateway(rng *rand.Rand) int { return rng.IntN(len(c.opt.Gateways)) }
