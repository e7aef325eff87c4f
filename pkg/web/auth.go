package web

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/quadrille-io/quadrille/pkg/fault"
)

// RoleOperator may use /ops and the console.
const RoleOperator = "operator"

// AuthConfig says whose tokens are believed. Every field is an allow-list, none has a "whatever the token says".
type AuthConfig struct {
	// Issuers and Audiences: a token's iss must be one of the first, one of its aud one of the second.
	Issuers   []string `env:"JWT_ISSUERS"`
	Audiences []string `env:"JWT_AUDIENCES"`
	// Algorithms are out of EdDSA, ES256 and RS256; empty is all three. Symmetric ones cannot be allowed: whoever can
	// verify such a token can also make one.
	Algorithms []string `env:"JWT_ALGORITHMS"`
	// JWKS is where the public keys are: a URL (refreshed hourly, and at an unknown kid), the path of a file, or the
	// JSON itself.
	JWKS string `env:"JWT_JWKS"`
	// Leeway forgives clocks that differ; 0 is 30 s.
	Leeway time.Duration `env:"JWT_LEEWAY"`
	// RolesClaim holds an array of role names; "" is "roles".
	RolesClaim string `env:"JWT_ROLES_CLAIM"`
	// CacheSize bounds the remembered tokens; 0 is 10,000.
	CacheSize int `env:"JWT_CACHE_SIZE"`
	// Log gets failures to refresh keys; nil is slog's default.
	Log *slog.Logger
}

var algorithms = []string{"EdDSA", "ES256", "RS256"}

// Validate names what is missing or cannot be.
func (c *AuthConfig) Validate() error {
	var errs []error
	if len(c.Issuers) == 0 {
		errs = append(errs, errors.New("JWT_ISSUERS: required"))
	}
	if len(c.Audiences) == 0 {
		errs = append(errs, errors.New("JWT_AUDIENCES: required"))
	}
	if c.JWKS == "" {
		errs = append(errs, errors.New("JWT_JWKS: required, a URL, a file or the JSON itself"))
	}
	for _, alg := range c.Algorithms {
		if !slices.Contains(algorithms, alg) {
			errs = append(errs, fmt.Errorf("JWT_ALGORITHMS: %q is not one of %s", alg, strings.Join(algorithms, ", ")))
		}
	}
	if c.Leeway < 0 || c.Leeway > 5*time.Minute {
		errs = append(errs, fmt.Errorf("JWT_LEEWAY: %s is not within 0 and 5m", c.Leeway))
	}
	return errors.Join(errs...)
}

// Identity is who calls.
type Identity struct {
	// Subject is the member's id, the token's sub.
	Subject string
	// Roles are what else the caller may be; customers have none.
	Roles []string
}

// Is tells whether the caller has the role.
func (i Identity) Is(role string) bool { return slices.Contains(i.Roles, role) }

// Verifier checks bearer tokens. It is safe for concurrent use.
type Verifier struct {
	parser *jwt.Parser
	keys   jwt.Keyfunc
	cfg    AuthConfig
	cache  *tokenCache
}

// NewVerifier loads the keys. With a URL that does not answer it starts nevertheless and asks again: a token then is
// refused, which is better than a service that cannot start before its identity provider. ctx ends the refreshing.
func NewVerifier(ctx context.Context, cfg AuthConfig) (*Verifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure token verification: %w", err)
	}
	cfg.Leeway = or(cfg.Leeway, 30*time.Second)
	cfg.RolesClaim = or(cfg.RolesClaim, "roles")
	cfg.CacheSize = or(cfg.CacheSize, 10_000)
	cfg.Log = or(cfg.Log, slog.Default())
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = algorithms
	}
	keys, err := loadKeys(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("load the keys of JWT_JWKS: %w", err)
	}
	return &Verifier{
		parser: jwt.NewParser(
			jwt.WithValidMethods(cfg.Algorithms),
			jwt.WithExpirationRequired(),
			jwt.WithIssuedAt(),
			jwt.WithLeeway(cfg.Leeway),
			jwt.WithStrictDecoding(),
		),
		keys:  keys,
		cfg:   cfg,
		cache: newTokenCache(cfg.CacheSize),
	}, nil
}

// loadKeys never reads a kid as a path or URL: it is only ever looked up among the loaded keys.
func loadKeys(ctx context.Context, cfg AuthConfig) (jwt.Keyfunc, error) {
	if strings.HasPrefix(strings.TrimSpace(cfg.JWKS), "{") {
		return parseKeys([]byte(cfg.JWKS))
	}
	if u, err := url.Parse(cfg.JWKS); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		return remoteKeys(ctx, cfg)
	}
	raw, err := os.ReadFile(cfg.JWKS)
	if err != nil {
		return nil, err
	}
	return parseKeys(raw)
}

func parseKeys(raw []byte) (jwt.Keyfunc, error) {
	set, err := keyfunc.NewJWKSetJSON(json.RawMessage(raw))
	if err != nil {
		return nil, err
	}
	return set.Keyfunc, nil
}

func remoteKeys(ctx context.Context, cfg AuthConfig) (jwt.Keyfunc, error) {
	set, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{cfg.JWKS}, keyfunc.Override{
		HTTPTimeout: 5 * time.Second,
		// An unknown kid may mean new keys, so it fetches them, at most every 10 s. The library's default lets each
		// such request wait a minute for its turn: a stranger with random kids would fill the server with waiters.
		RefreshUnknownKID: rate.NewLimiter(rate.Every(10*time.Second), 1),
		RateLimitWaitMax:  time.Second,
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
			return func(ctx context.Context, err error) {
				cfg.Log.WarnContext(ctx, "token keys not refreshed", "error", err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return set.Keyfunc, nil
}

// Verify checks signature, algorithm, issuer, audience, times and subject. The error is for logs: callers are told
// only that the token does not hold.
func (v *Verifier) Verify(token string) (Identity, error) {
	const longest = 8 << 10
	if len(token) > longest {
		return Identity{}, errors.New("verify token: longer than 8 KiB")
	}
	if strings.Trim(token, compactAlphabet) != "" {
		return Identity{}, errors.New("verify token: a character that the compact form does not have")
	}
	sum, now := sha256.Sum256([]byte(token)), time.Now()
	if identity, ok := v.cache.get(sum, now); ok {
		return identity, nil
	}
	claims := jwt.MapClaims{}
	parsed, err := v.parser.ParseWithClaims(token, claims, v.keys)
	if err != nil {
		return Identity{}, fmt.Errorf("verify token: %w", err)
	}
	if _, has := parsed.Header["crit"]; has {
		// RFC 7515 4.1.11: what is marked critical must be understood, and nothing of it is here.
		return Identity{}, errors.New("verify token: a critical header is not understood")
	}
	if err := v.unambiguous(token); err != nil {
		return Identity{}, fmt.Errorf("verify token: %w", err)
	}
	identity, err := v.identity(claims)
	if err != nil {
		return Identity{}, fmt.Errorf("verify token: %w", err)
	}
	if expires, err := claims.GetExpirationTime(); err == nil && expires != nil {
		v.cache.put(sum, identity, now, expires.Add(v.cfg.Leeway))
	}
	return identity, nil
}

// compactAlphabet is base64url and the dot between the parts (RFC 7515 section 3.1). The decoder alone would skip line
// breaks, and one token could be written in many ways.
const compactAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// unambiguous refuses a token in which a name stands twice (RFC 7515 section 4, RFC 7519 section 4): encoding/json
// takes the last one, and whoever looks at the token before us may have taken the first. It comes after the signature,
// so that strangers cannot make us do it.
func (v *Verifier) unambiguous(token string) error {
	for _, part := range strings.Split(token, ".")[:2] {
		raw, err := v.parser.DecodeSegment(part)
		if err != nil {
			return err
		}
		if err := wellFormed(raw); err != nil {
			return err
		}
		w := newWalker(raw)
		w.value(nil, "", false)
		if len(w.faults) > 0 {
			return fmt.Errorf("%s at %s", w.faults[0].Code, w.faults[0].Pointer)
		}
	}
	return nil
}

func (v *Verifier) identity(claims jwt.MapClaims) (Identity, error) {
	issuer, err := claims.GetIssuer()
	if err != nil || !slices.Contains(v.cfg.Issuers, issuer) {
		return Identity{}, errors.New("issuer is not allowed")
	}
	audience, err := claims.GetAudience()
	if err != nil || !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(v.cfg.Audiences, a) }) {
		return Identity{}, errors.New("audience is not allowed")
	}
	subject, err := claims.GetSubject()
	// U+FFFD is what encoding/json makes of everything that is no character, so two subjects would be one member.
	if err != nil || subject == "" || len(subject) > 255 || !Printable(subject, 255) || strings.ContainsRune(subject, utf8.RuneError) {
		return Identity{}, errors.New("subject is missing or not usable")
	}
	identity := Identity{Subject: subject}
	roles, _ := claims[v.cfg.RolesClaim].([]any)
	for _, role := range roles {
		if name, ok := role.(string); ok {
			identity.Roles = append(identity.Roles, name)
		}
	}
	return identity, nil
}

const identityKey = "quadrille.identity"

// Auth lets only callers with a valid bearer token through, and takes from the member's rate limit.
func Auth(v *Verifier) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			token, ok := bearer(c)
			if !ok {
				return fault.Unauthorized("A bearer token is required.")
			}
			identity, err := v.Verify(token)
			if err != nil {
				// Not logged: anybody can send a thousand bad tokens a second, and the access log has the 401.
				c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm="quadrille", error="invalid_token"`)
				return fault.Unauthorized("The token is not valid here.")
			}
			if err := limitMember(c, identity.Subject); err != nil {
				return err
			}
			c.Set(identityKey, identity)
			return next(c)
		}
	}
}

func bearer(c echo.Context) (string, bool) {
	headers := c.Request().Header.Values(echo.HeaderAuthorization)
	// Two of them are two answers to "who are you", and a proxy before us may have read the other one.
	if len(headers) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	// One space or more stand between the two (RFC 9110 section 11.4), and nothing else that looks like one.
	token = strings.TrimLeft(token, " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// Caller returns who calls; behind [Auth] the subject is never empty.
func Caller(c echo.Context) Identity {
	identity, _ := c.Get(identityKey).(Identity)
	return identity
}

// RequireRole lets only callers with the role through, others get 403. It stands behind [Auth].
func RequireRole(role string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			identity := Caller(c)
			if identity.Subject == "" {
				return fault.Unauthorized("A bearer token is required.")
			}
			if !identity.Is(role) {
				return fault.Forbidden("This needs the role " + role + ".")
			}
			return next(c)
		}
	}
}
