package sign_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quadrille-io/quadrille/services/webhook/sign"
)

// The vector that the reference libraries are tested with.
func TestReferenceVector(t *testing.T) {
	t.Parallel()
	const secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for _, spelled := range []string{secret, "whsec_" + secret} {
		got, err := sign.Header([]string{spelled}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
		if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

// What is signed with one or two secrets is accepted by the reference library with either, and with no other; a change
// of any part is found.
func TestReferenceLibrary(t *testing.T) {
	t.Parallel()
	current, old, other := sign.NewSecret(), sign.NewSecret(), sign.NewSecret()
	body := []byte(`{"type":"quadrille.order.v1.OrderCompleted","data":{"상품":"머그"}}`)
	now := time.Now()
	signature, err := sign.Header([]string{current, old}, "0199a1b2", now, body)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(secret, id, at, signature string, body []byte) error {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		return w.Verify(body, http.Header{sign.HeaderID: {id}, sign.HeaderTimestamp: {at}, sign.HeaderSignature: {signature}})
	}
	at := sign.Timestamp(now)
	for name, secret := range map[string]string{"current": current, "old": old} {
		if err := verify(secret, "0199a1b2", at, signature, body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"other secret":    verify(other, "0199a1b2", at, signature, body),
		"other id":        verify(current, "0199a1b3", at, signature, body),
		"other time":      verify(current, "0199a1b2", sign.Timestamp(now.Add(time.Second)), signature, body),
		"other body":      verify(current, "0199a1b2", at, signature, []byte(strings.Replace(string(body), "머그", "컵", 1))),
		"other signature": verify(current, "0199a1b2", at, "v1,"+strings.Repeat("A", 43)+"=", body),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	if a, b := sign.NewSecret(), sign.NewSecret(); a == b || !strings.HasPrefix(a, "whsec_") || len(a) != len("whsec_")+44 {
		t.Errorf("secrets %s and %s", a, b)
	}
	for _, bad := range []string{"", "whsec_", "whsec_???"} {
		if got, err := sign.Header([]string{bad}, "id", time.Now(), nil); err == nil {
			t.Errorf("signed with %q: %s", bad, got)
		} else if len(bad) > len("whsec_") && strings.Contains(err.Error(), bad) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}
