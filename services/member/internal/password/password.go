// Package password keeps passwords as Argon2id hashes, and bounds what hashing costs.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
)

// The parameters of new hashes: the first of those that OWASP's Password Storage Cheat Sheet names for Argon2id. A
// hash says with which ones it was made, so they can be raised.
const (
	memory     = 19 * 1024 // KiB
	passes     = 2
	lanes      = 1
	saltLength = 16
	keyLength  = 32
)

// The most that a stored hash may ask for: a row that somebody has tampered with must not take the machine.
const (
	mostMemory = 256 * 1024 // KiB
	mostPasses = 16
	mostLanes  = 8
	mostKey    = 128
)

// ErrBusy says that there was no room to hash for as long as a caller can be kept waiting.
var ErrBusy = errors.New("too many passwords at once")

// Hasher hashes a few passwords at a time: each takes 19 MiB and a core for some 30 ms, and everybody may ask for it
// without a token. Its methods may be called from many goroutines.
type Hasher struct {
	slots   chan struct{}
	patient time.Duration
	dummy   string
}

// NewHasher makes one with so many slots; whoever finds none waits for so long.
func NewHasher(slots int, patience time.Duration) *Hasher {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	h := &Hasher{slots: make(chan struct{}, slots), patient: patience}
	h.dummy = format(memory, passes, lanes, salt, make([]byte, keyLength))
	return h
}

// Hash makes the hash of a new password, in PHC format. It errors with ErrBusy, or when ctx ends.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	done, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails
	return format(memory, passes, lanes, salt, argon2.IDKey([]byte(password), salt, passes, memory, lanes, keyLength)), nil
}

// Verify says whether a password is the one of a hash. For no hash ("") it takes as long as for one and says no, so
// that nobody learns from the time which e-mail addresses are members'. It errors with ErrBusy, or when ctx ends, or
// for a hash that is none.
func (h *Hasher) Verify(ctx context.Context, password, hash string) (bool, error) {
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	p, err := parse(hash)
	if err != nil {
		return false, err
	}
	done, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	key := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1 && known, nil
}

func (h *Hasher) enter(ctx context.Context) (leave func(), err error) {
	timer := time.NewTimer(h.patient)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-timer.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash a password: %w", context.Cause(ctx))
	}
}

// parsed is a hash in PHC format.
type parsed struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

func format(memory, passes, lanes uint32, salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes, b64(salt), b64(key))
}

// errForm quotes nothing: what stands there is a secret.
var errForm = errors.New("a password hash is not an Argon2id one in PHC format")

func parse(hash string) (parsed, error) {
	var p parsed
	var version int
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return p, errForm
	}
	if n, err := fmt.Sscanf(parts[2], "v=%d", &version); n != 1 || err != nil || version != argon2.Version {
		return p, errForm
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); n != 3 || err != nil {
		return p, errForm
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(p.salt) < 8 {
		return p, errForm
	}
	if p.key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.key) < 16 {
		return p, errForm
	}
	if p.memory == 0 || p.memory > mostMemory || p.passes == 0 || p.passes > mostPasses || p.lanes == 0 || p.lanes > mostLanes || len(p.key) > mostKey {
		return p, errForm
	}
	return p, nil
}
