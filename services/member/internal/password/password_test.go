package password_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quadrille-io/quadrille/services/member/internal/password"
)

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	h := password.NewHasher(2, time.Minute)
	hash, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(hash, "=$") {
		t.Errorf("not PHC format with OWASP's parameters: %s", hash)
	}
	if again, err := h.Hash(t.Context(), "correct horse"); err != nil || again == hash {
		t.Errorf("two hashes share their salt: %v", err)
	}
	for plain, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false} {
		if got, err := h.Verify(t.Context(), plain, hash); err != nil || got != want {
			t.Errorf("%q: %v, %v", plain, got, err)
		}
		if got, err := h.Verify(t.Context(), plain, ""); err != nil || got {
			t.Errorf("%q is right for nobody's password: %v", plain, err)
		}
	}
}

// A hash made with other parameters holds: they stand in it. This one is the reference implementation's test vector.
func TestOtherParameters(t *testing.T) {
	t.Parallel()
	h := password.NewHasher(1, time.Minute)
	const hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for plain, want := range map[string]bool{"password": true, "passwore": false} {
		if got, err := h.Verify(t.Context(), plain, hash); err != nil || got != want {
			t.Errorf("%q: %v, %v", plain, got, err)
		}
	}
}

func TestVerifyRefusesWhatIsNoHash(t *testing.T) {
	t.Parallel()
	h := password.NewHasher(1, time.Minute)
	const salt, key = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for name, hash := range map[string]string{
		"plain text": "secret", "another function": "$argon2i$v=19$m=256,t=2,p=1$" + salt + "$" + key,
		"another version": "$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + key, "no memory": "$argon2id$v=19$m=0,t=2,p=1$" + salt + "$" + key,
		"all memory": "$argon2id$v=19$m=4294967295,t=2,p=1$" + salt + "$" + key, "for ever": "$argon2id$v=19$m=256,t=4294967295,p=1$" + salt + "$" + key,
		"no lane": "$argon2id$v=19$m=256,t=2,p=0$" + salt + "$" + key, "no salt": "$argon2id$v=19$m=256,t=2,p=1$$" + key,
		"no key": "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$", "no base64": "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$!",
	} {
		if got, err := h.Verify(t.Context(), "password", hash); err == nil || got {
			t.Errorf("%s: taken", name)
		} else if strings.Contains(err.Error(), hash) {
			t.Errorf("%s: the error has the hash: %v", name, err)
		}
	}
}

// No more than the slots hash at once; who finds none is told so after a while, or leaves.
func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	h := password.NewHasher(1, time.Nanosecond)
	var wg sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[error]int{}
	for range 40 {
		wg.Go(func() {
			_, err := h.Hash(t.Context(), "correct horse")
			mu.Lock()
			defer mu.Unlock()
			outcomes[err]++
		})
	}
	wg.Wait()
	if outcomes[nil] == 0 || outcomes[password.ErrBusy] == 0 || outcomes[nil]+outcomes[password.ErrBusy] != 40 {
		t.Errorf("%v", outcomes)
	}
	patient := password.NewHasher(0, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := patient.Hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("left with %v", err)
	}
	if _, err := patient.Verify(ctx, "x", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("left with %v", err)
	}
}
