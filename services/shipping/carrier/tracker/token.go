package tracker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// tokenTimeout bounds the fetching of a token, within the call that needs it.
	tokenTimeout = 5 * time.Second
	// tokenEarly is how long before its end a token is not used any more: the call it is for takes time too.
	tokenEarly = time.Minute
	// tokenPause is how long nobody asks again after the credentials were refused: with wrong ones every parcel would.
	tokenPause = 30 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 1 << 20
)

// authorizer sends requests with an access token. One that the API does not take any more (revoked, or its clock is not
// ours) is fetched anew, and the request sent a second time: it was refused, so it had no effect.
type authorizer struct {
	base   http.RoundTripper
	url    string
	form   string
	client *http.Client

	mu      sync.Mutex
	token   string
	ends    time.Time // by our monotonic clock
	refused error     // until ends
	flight  *fetch
}

// fetch is one request for a token, for all who need it meanwhile.
type fetch struct {
	done  chan struct{}
	token string
	err   error
}

func newAuthorizer(cfg Config) *authorizer {
	base := cfg.Remote.Transport
	if base == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 32
		base = t
	}
	return &authorizer{
		base: base, url: cfg.TokenURL,
		form: url.Values{
			"grant_type": {"client_credentials"}, "client_id": {cfg.ClientID}, "client_secret": {cfg.ClientSecret},
		}.Encode(),
		// A redirect would take the secret elsewhere.
		client: &http.Client{Transport: base, Timeout: tokenTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
}

// RoundTrip implements http.RoundTripper.
func (a *authorizer) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := a.current(req.Context(), "")
	if err != nil {
		return nil, err
	}
	resp, err := a.send(req, token)
	if err != nil {
		return nil, err
	}
	stale, err := unauthenticated(resp)
	if err != nil || !stale {
		return resp, err
	}
	if token, err = a.current(req.Context(), token); err != nil {
		return nil, err
	}
	return a.send(req, token)
}

// send makes the request as a copy: a RoundTripper must not change what it is given. The body can be had again, as it
// was made of bytes.
func (a *authorizer) send(req *http.Request, token string) (*http.Response, error) {
	out := req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("read the request again: %w", err)
		}
		out.Body = body
	}
	out.Header.Set("Authorization", "Bearer "+token)
	return a.base.RoundTrip(out)
}

// unauthenticated looks whether an answer refuses the token, by its status or, as this API does it, by its body. The body
// can be read again afterwards.
func unauthenticated(resp *http.Response) (bool, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return false, fmt.Errorf("read answer: %w", err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if resp.StatusCode == http.StatusUnauthorized {
		return true, nil
	}
	var r reply
	if json.Unmarshal(body, &r) != nil || len(r.Errors) == 0 {
		return false, nil
	}
	return r.Errors[0].Extensions.Code == codeUnauthenticated, nil
}

// current is a token other than the stale one. Many may need one at once; one of them asks.
func (a *authorizer) current(ctx context.Context, stale string) (string, error) {
	a.mu.Lock()
	if time.Now().Before(a.ends) {
		if a.refused != nil || a.token != stale {
			defer a.mu.Unlock()
			return a.token, a.refused
		}
	}
	f := a.flight
	if f == nil {
		f = &fetch{done: make(chan struct{})}
		a.flight = f
		// Of its own context: others wait for it who have not given up.
		go a.fetch(f) //nolint:gosec // ends by the client's time-out
	}
	a.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return "", fmt.Errorf("wait for an access token: %w", context.Cause(ctx))
	}
}

func (a *authorizer) fetch(f *fetch) {
	token, lasts, err := a.ask()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flight = nil
	a.token, a.refused, a.ends = token, nil, time.Now().Add(lasts)
	if errors.Is(err, errCredentials) {
		a.refused, a.ends = err, time.Now().Add(tokenPause)
	}
	f.token, f.err = token, err
	close(f.done)
}

// errCredentials: another try with the same credentials has the same answer.
var errCredentials = errors.New("the client's credentials are refused")

// ask fetches a token and says how long it can be used. Neither the secret nor a token is ever part of an error.
func (a *authorizer) ask() (token string, lasts time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), tokenTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, strings.NewReader(a.form))
	if err != nil {
		return "", 0, fmt.Errorf("make token request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return "", 0, fmt.Errorf("ask for a token: %w", err)
	}
	defer resp.Body.Close()
	var body struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"` // seconds
		Error       string  `json:"error"`
	}
	decoded := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&body)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return "", 0, fmt.Errorf("ask for a token: answered %d", resp.StatusCode)
	case resp.StatusCode != http.StatusOK: // invalid_client and the like, RFC 6749 section 5.2
		return "", 0, fmt.Errorf("ask for a token: %w: answered %d %q", errCredentials, resp.StatusCode, clip(body.Error))
	case decoded != nil || body.AccessToken == "":
		return "", 0, errors.New("ask for a token: the answer has none")
	}
	return body.AccessToken, usable(body.ExpiresIn), nil
}

// usable is how long a token is used that is valid for some seconds. Without a word on it (it is optional) or with
// nonsense it is used for five minutes; a short one for half its time.
func usable(seconds float64) time.Duration {
	if !(seconds > 0 && seconds < 1e7) {
		return 5 * time.Minute
	}
	valid := time.Duration(seconds * float64(time.Second))
	return max(valid-tokenEarly, valid/2)
}
