package web

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Issuer signs tokens for development and tests. Production has an identity provider, which services know by its JWKS.
type Issuer struct {
	key      ed25519.PrivateKey
	kid      string
	issuer   string
	audience string
}

// LoadOrCreateIssuer reads the Ed25519 key of path (PKCS #8, PEM), or makes one and keeps it there, readable by its
// owner only, so that tokens survive a restart. A key file that others can read is refused.
func LoadOrCreateIssuer(path, issuer, audience string) (*Issuer, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = createKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("load the token key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load the token key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("load the token key: %s has mode %04o, others can read it; make it 0600", path, info.Mode().Perm())
	}
	key, err := parseKey(raw)
	if err != nil {
		return nil, fmt.Errorf("load the token key of %s: %w", path, err)
	}
	sum := sha256.Sum256(key.Public().(ed25519.PublicKey))
	return &Issuer{key: key, kid: base64.RawURLEncoding.EncodeToString(sum[:9]), issuer: issuer, audience: audience}, nil
}

func parseKey(raw []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a %T, want an Ed25519 key", parsed)
	}
	return key, nil
}

// createKey lets two processes start at once: each writes a file of its own and links it to the name. The link of the
// second fails because the name is there, and it reads the first one's key.
func createKey(path string) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp.Name())
	err = pem.Encode(temp, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err = errors.Join(err, temp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// Token signs a token for the subject that is valid for ttl from now.
func (i *Issuer) Token(subject string, roles []string, ttl time.Duration) (string, error) {
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": i.issuer, "aud": i.audience, "sub": subject,
		"iat": now.Unix(), "exp": now.Add(ttl).Unix(), "jti": uuid.NewString(),
	}
	if len(roles) > 0 {
		claims["roles"] = roles
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["kid"] = i.kid
	signed, err := token.SignedString(i.key)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}

// JWKS returns the public key as a JSON Web Key Set (RFC 7517, RFC 8037).
func (i *Issuer) JWKS() []byte {
	public := base64.RawURLEncoding.EncodeToString(i.key.Public().(ed25519.PublicKey))
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": i.kid, "x": public,
	}}})
	if err != nil {
		panic(err) // strings in maps always encode
	}
	return set
}

// Config returns the verification that believes this issuer and no other.
func (i *Issuer) Config() AuthConfig {
	return AuthConfig{
		Issuers: []string{i.issuer}, Audiences: []string{i.audience},
		Algorithms: []string{"EdDSA"}, JWKS: string(i.JWKS()),
	}
}
