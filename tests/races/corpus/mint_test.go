package corpus_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	tokenIssuer   = "https://id.example"
	tokenAudience = "quadrille-corpus"
	// The issuer and the audience of the tokens that the system makes itself.
	ownIssuer   = "quadrille-local"
	ownAudience = "quadrille"
)

// The kids of the system's keys.
const (
	kidEd  = "key-ed"
	kidEC  = "key-ec"
	kidRSA = "key-rsa"
)

// mint makes tokens: it has the private keys of the system, one that is not the system's, and the address of a server
// that would hand that one out.
type mint struct {
	ed, other ed25519.PrivateKey
	ec        *ecdsa.PrivateKey
	rsa       *rsa.PrivateKey
	evil      string
}

func newMint(t *testing.T) *mint {
	t.Helper()
	_, ed, err1 := ed25519.GenerateKey(rand.Reader)
	_, other, err2 := ed25519.GenerateKey(rand.Reader)
	ec, err3 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rs, err4 := rsa.GenerateKey(rand.Reader, 2048)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return &mint{ed: ed, other: other, ec: ec, rsa: rs}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func public(key ed25519.PrivateKey) []byte { return key.Public().(ed25519.PublicKey) }

// keys is the public side as the services are told it. That of RSA does not say for which algorithm it is, as it need
// not (RFC 7517 4.4): the services' own list has to.
func (m *mint) keys(t *testing.T) string {
	t.Helper()
	point, err := m.ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":%q,"x":%q},`+
		`{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":%q,"x":%q,"y":%q},`+
		`{"kty":"RSA","use":"sig","kid":%q,"n":%q,"e":"AQAB"}]}`,
		kidEd, b64(public(m.ed)), kidEC, b64(point[1:33]), b64(point[33:]), kidRSA, b64(m.rsa.N.Bytes()))
}

var nowText = regexp.MustCompile(`\{now([+-]\d+)?\}`)

// fill replaces what only the run knows.
func (m *mint) fill(text string) string {
	text = strings.NewReplacer(
		"{iss}", tokenIssuer, "{ISS}", strings.ToUpper(tokenIssuer), "{aud}", tokenAudience, "{AUD}", strings.ToUpper(tokenAudience),
		"{ed}", kidEd, "{ED}", strings.ToUpper(kidEd), "{ec}", kidEC, "{rsa}", kidRSA,
		"{evil}", m.evil, "{other-x}", b64(public(m.other)),
	).Replace(text)
	return nowText.ReplaceAllStringFunc(text, func(s string) string {
		seconds, _ := strconv.ParseInt(strings.Trim(s, "{now}"), 10, 64)
		return strconv.FormatInt(time.Now().Unix()+seconds, 10)
	})
}

const (
	goodHeader = `{"alg":"EdDSA","kid":"{ed}"}`
	goodClaims = `{"iss":"{iss}","aud":"{aud}","sub":"test1234","roles":["operator"],"iat":{now},"exp":{now+60}}`
)

// sign is the signature that an entry asks for. "stolen" is the good token's, taken to another text.
func (m *mint) sign(t *testing.T, how, text string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	how, size, _ := strings.Cut(how, ":")
	var signature []byte
	var err error
	switch how {
	case "", "ed":
		signature = ed25519.Sign(m.ed, []byte(text))
	case "other":
		signature = ed25519.Sign(m.other, []byte(text))
	case "stolen":
		signature = ed25519.Sign(m.ed, []byte(b64([]byte(m.fill(goodHeader)))+"."+b64([]byte(m.fill(goodClaims)))))
	case "none":
	case "zeros":
		n, _ := strconv.Atoi(size)
		signature = make([]byte, n)
	case "ec":
		r, s, failed := ecdsa.Sign(rand.Reader, m.ec, digest[:])
		if err = failed; err == nil {
			signature = slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))
		}
	case "ec-der":
		signature, err = m.ec.Sign(rand.Reader, digest[:], crypto.SHA256)
	case "rsa":
		signature, err = rsa.SignPKCS1v15(rand.Reader, m.rsa, crypto.SHA256, digest[:])
	case "ps256":
		signature, err = rsa.SignPSS(rand.Reader, m.rsa, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case "rs512":
		long := sha512.Sum512([]byte(text))
		signature, err = rsa.SignPKCS1v15(rand.Reader, m.rsa, crypto.SHA512, long[:])
	case "hmac":
		secret, alg, _ := strings.Cut(size, ":")
		mac := hmac.New(map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg], m.secret(t, secret))
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	default:
		t.Fatalf("nobody signs as %q", how)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// secret is what a verifier that mixes the algorithms up might take for the HMAC's key: all of it is public.
func (m *mint) secret(t *testing.T, name string) []byte {
	t.Helper()
	var key any
	switch name {
	case "empty":
		return nil
	case "kid":
		return []byte(kidEd)
	case "secret":
		return []byte("secret")
	case "ed-raw":
		return public(m.ed)
	case "ed-x":
		return []byte(b64(public(m.ed)))
	case "ed-jwk":
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		if err := json.Unmarshal([]byte(m.keys(t)), &set); err != nil {
			t.Fatal(err)
		}
		return set.Keys[0]
	case "ed-pem":
		key = m.ed.Public()
	case "rsa-pem", "rsa-der":
		key = m.rsa.Public()
	case "ec-pem":
		key = m.ec.Public()
	default:
		t.Fatalf("no secret %q", name)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, "-der") {
		return der
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
