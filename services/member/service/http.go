package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/quadrille-io/quadrille/pkg/engine"
	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/host"
	"github.com/quadrille-io/quadrille/pkg/web"
	"github.com/quadrille-io/quadrille/services/member"
	"github.com/quadrille-io/quadrille/services/member/internal/password"
	"github.com/quadrille-io/quadrille/services/member/internal/store"
)

// mePath is where members find themselves.
const mePath = "/api/v1/members/me"

// edge is member's HTTP. Commands go to the engine and answer with ids; what is shown is read after the COMMIT.
type edge struct {
	cfg    Config
	hasher *password.Hasher
	// issuer signs sessions; nil: an identity provider does.
	issuer             *web.Issuer
	byEmail, byAddress *guesses
	host               *host.Host[member.World]
}

func (e *edge) routes(r *echo.Echo, h *host.Host[member.World]) {
	e.host = h
	r.POST("/api/v1/members", e.register)
	r.POST("/api/v1/sessions", e.openSession)
	me := r.Group(mePath, web.Auth(h.Verifier))
	me.GET("", e.show)
	me.PATCH("", e.change)
	me.DELETE("", e.erase)
	me.GET("/addresses", e.listAddresses)
	me.POST("/addresses", e.addAddress)
	me.PATCH("/addresses/:addressId", e.changeAddress)
	me.DELETE("/addresses/:addressId", e.removeAddress)
}

// elsewhere is the answer to passwords where an identity provider has them.
func elsewhere() error {
	return fault.New(http.StatusNotFound, fault.CodeNotFound, "Members register and sign in at the identity provider.")
}

func (e *edge) register(c echo.Context) error {
	var r registerRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	if e.issuer == nil {
		return elsewhere()
	}
	// A refusal tells that somebody is a member, so it counts as a guess.
	giveBack, err := e.guess(c, "")
	if err != nil {
		return err
	}
	hash, err := e.hash(c.Request().Context(), r.Password)
	if err != nil {
		return err
	}
	said := r
	said.Password = nil
	request, err := host.Request(c, said)
	if err != nil {
		return err
	}
	// Keys of strangers are kept apart by whom they are about, in a form that tells nobody.
	sum := sha256.Sum256([]byte(member.EmailKey(*r.Email)))
	request.Member = "email/" + hex.EncodeToString(sum[:])
	request.Command = member.Register{
		MemberID: uuid.Must(uuid.NewV7()).String(), Email: *r.Email, Name: *r.Name, Phone: web.Or(r.Phone, ""),
		Language: web.Or(r.Language, e.cfg.DefaultLanguage), PasswordHash: *hash,
	}
	x, _, err := e.decide(c, request, r.Password)
	if err != nil {
		return err
	}
	giveBack()
	c.Response().Header().Set(echo.HeaderLocation, mePath)
	return c.JSON(http.StatusCreated, viewOf(x))
}

// openSession trades an e-mail address and a password for a token. Whether the one or the other is wrong it does not
// say, nor show by the time it takes.
func (e *edge) openSession(c echo.Context) error {
	var r sessionRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	if e.issuer == nil {
		return elsewhere()
	}
	giveBack, err := e.guess(c, *r.Email)
	if err != nil {
		return err
	}
	x, known, err := store.FindByEmail(c.Request().Context(), e.host.Pool, *r.Email)
	if err != nil {
		return err
	}
	right, err := e.verify(c.Request().Context(), *r.Password, x.PasswordHash)
	switch {
	case err != nil:
		giveBack()
		return err
	case !right || !known:
		return fault.Of(fault.CodeInvalidCredentials, "The e-mail address and the password do not belong together.")
	}
	giveBack()
	token, err := e.issuer.Token(x.MemberID, nil, e.cfg.SessionTTL)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, sessionView{
		AccessToken: token, ExpiresIn: int64(e.cfg.SessionTTL / time.Second), Member: viewOf(x),
	})
}

func (e *edge) show(c echo.Context) error {
	x, err := e.me(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewOf(x))
}

// me is the member that the token names: 404 where the identity provider knows somebody who has no profile here, or who
// has been erased.
func (e *edge) me(c echo.Context) (member.Member, error) {
	x, known, err := store.Find(c.Request().Context(), e.host.Pool, web.Caller(c).Subject)
	if err == nil && !known {
		err = fault.NotFound()
	}
	return x, err
}

func (e *edge) change(c echo.Context) error {
	var r changeRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	hash, err := e.mayChange(c, r)
	if err != nil {
		return err
	}
	said := r
	said.Password, said.CurrentPassword = nil, nil
	request, err := host.Request(c, said)
	if err != nil {
		return err
	}
	request.Command = member.Change{
		MemberID: request.Member, Email: r.Email, Name: r.Name, Phone: r.Phone, Language: r.Language, PasswordHash: hash,
		Create: e.issuer == nil, DefaultLanguage: e.cfg.DefaultLanguage,
	}
	x, _, err := e.decide(c, request, r.Password)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewOf(x))
}

// mayChange asks for the current password where the new profile needs it, and hashes the new one.
func (e *edge) mayChange(c echo.Context, r changeRequest) (hash *string, err error) {
	if r.Password != nil && e.issuer == nil {
		return nil, fault.Invalid(fault.FieldError{Pointer: "/password", Code: fault.CodeInvalidField, Detail: "The identity provider has it."})
	}
	if e.issuer == nil || r.Email == nil && r.Password == nil {
		return nil, nil
	}
	x, err := e.me(c)
	if err != nil {
		return nil, err
	}
	if x.PasswordHash != "" {
		if r.CurrentPassword == nil {
			return nil, fault.Invalid(fault.FieldError{
				Pointer: "/currentPassword", Code: fault.CodeMissingField, Detail: "A new e-mail address or password needs the current password.",
			})
		}
		giveBack, err := e.guess(c, x.Email)
		if err != nil {
			return nil, err
		}
		right, err := e.verify(c.Request().Context(), *r.CurrentPassword, x.PasswordHash)
		if err == nil && !right {
			return nil, fault.Forbidden("The current password is another one.")
		}
		giveBack()
		if err != nil {
			return nil, err
		}
	}
	return e.hash(c.Request().Context(), r.Password)
}

func (e *edge) erase(c echo.Context) error {
	if err := nothing(c); err != nil {
		return err
	}
	return e.host.Command(c, nil, member.Erase{MemberID: web.Caller(c).Subject}, "")
}

// decide puts a command through and reads the member that it was about. A key that was used before stands for the same
// password too: its first answer is not the answer to another one.
func (e *edge) decide(c echo.Context, r engine.Request, newPassword *string) (x member.Member, made member.Made, err error) {
	answer, err := e.host.Decide(c, r)
	if err != nil {
		return x, made, err
	}
	if err := json.Unmarshal(answer.Body, &made); err != nil {
		return x, made, fmt.Errorf("read the answer: %w", err)
	}
	x, known, err := store.Find(c.Request().Context(), e.host.Pool, made.MemberID)
	switch {
	case err != nil:
		return x, made, err
	case !known:
		return x, made, fault.NotFound()
	case !answer.Replayed || newPassword == nil:
		return x, made, nil
	}
	same, err := e.verify(c.Request().Context(), *newPassword, x.PasswordHash)
	if err == nil && !same {
		c.Response().Header().Del("Idempotency-Replayed")
		err = fault.Unprocessable(fault.CodeIdempotencyKeyReused, "The key was used with another request body.")
	}
	return x, made, err
}

// guess takes from what the client's address, and an e-mail address, may guess: 429 where nothing is left. giveBack
// undoes it for one that was right.
func (e *edge) guess(c echo.Context, email string) (giveBack func(), err error) {
	now, address, key := time.Now(), network(c.RealIP()), member.EmailKey(email)
	wait := e.byAddress.take(address, now)
	if wait == 0 && email != "" {
		if wait = e.byEmail.take(key, now); wait > 0 {
			e.byAddress.giveBack(address, now)
		}
	}
	if wait > 0 {
		refusal := fault.Of(fault.CodeRateLimited, "Too many wrong passwords; go on after Retry-After seconds.")
		refusal.RetryAfter = wait
		return nil, refusal
	}
	return func() {
		e.byAddress.giveBack(address, now)
		if email != "" {
			e.byEmail.giveBack(key, now)
		}
	}, nil
}

func (e *edge) hash(ctx context.Context, plain *string) (*string, error) {
	if plain == nil {
		return nil, nil
	}
	hash, err := e.hasher.Hash(ctx, *plain)
	return &hash, busy(err)
}

func (e *edge) verify(ctx context.Context, plain, hash string) (bool, error) {
	right, err := e.hasher.Verify(ctx, plain, hash)
	return right, busy(err)
}

func busy(err error) error {
	if errors.Is(err, password.ErrBusy) {
		return fault.Unavailable(fault.CodeServiceUnavailable, "Too many are signing in at this moment.", time.Second)
	}
	return err
}

func (e *edge) listAddresses(c echo.Context) error {
	x, err := e.me(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, web.List[addressView]{Data: addressViews(x)})
}

func (e *edge) addAddress(c echo.Context) error {
	var r addressRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	var bad web.Fields
	r.missing(&bad)
	r.invalid(&bad)
	if err := bad.Err(); err != nil {
		return err
	}
	request, err := host.Request(c, r)
	if err != nil {
		return err
	}
	request.Command = member.AddAddress{
		MemberID: request.Member, Address: r.address(uuid.Must(uuid.NewV7()).String()), Choice: r.Default != nil, Limit: e.cfg.MaxAddresses,
	}
	return e.answerAddress(c, request, http.StatusCreated)
}

func (e *edge) changeAddress(c echo.Context) error {
	var r addressRequest
	if err := web.Decode(c, &r); err != nil {
		return err
	}
	var bad web.Fields
	r.invalid(&bad)
	if err := bad.Err(); err != nil {
		return err
	}
	request, err := host.Request(c, r)
	if err != nil {
		return err
	}
	request.Command = member.ChangeAddress{
		MemberID: request.Member, AddressID: c.Param("addressId"), Name: r.Name, Phone: r.Phone, Line1: r.Line1, Line2: r.Line2,
		City: r.City, PostalCode: r.PostalCode, Country: r.Country, Default: r.Default,
	}
	return e.answerAddress(c, request, http.StatusOK)
}

// answerAddress decides and shows the address as it is then.
func (e *edge) answerAddress(c echo.Context, r engine.Request, status int) error {
	x, made, err := e.decide(c, r, nil)
	if err != nil {
		return err
	}
	for _, a := range addressViews(x) {
		if a.AddressID == made.AddressID {
			return c.JSON(status, a)
		}
	}
	return fault.NotFound() // removed since
}

func (e *edge) removeAddress(c echo.Context) error {
	if err := nothing(c); err != nil {
		return err
	}
	return e.host.Command(c, nil, member.RemoveAddress{MemberID: web.Caller(c).Subject, AddressID: c.Param("addressId")}, "")
}

// nothing refuses a body: whoever sends one means something that is not done.
func nothing(c echo.Context) error {
	var body struct{}
	return web.DecodeOptional(c, &body)
}
