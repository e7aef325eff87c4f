package member

// Register is POST /api/v1/members. The edge has checked the form of each field and hashed the password.
type Register struct {
	// MemberID of the member to be, made at the edge (UUIDv7).
	MemberID     string
	Email        string
	Name         string
	Phone        string
	Language     string
	PasswordHash string
}

// Subject is the member.
func (c Register) Subject() string { return c.MemberID }

// Change is PATCH /api/v1/members/me. What is nil stays.
type Change struct {
	MemberID     string
	Email        *string
	Name         *string
	Phone        *string
	Language     *string
	PasswordHash *string
	// Create makes a member of whom only the identity provider knew: with its first profile, which needs an e-mail
	// address and a name. Language is then what it is unless said.
	Create          bool
	DefaultLanguage string
}

// Subject is the member.
func (c Change) Subject() string { return c.MemberID }

// Erase is DELETE /api/v1/members/me.
type Erase struct{ MemberID string }

// Subject is the member.
func (c Erase) Subject() string { return c.MemberID }

// AddAddress is POST /api/v1/members/me/addresses.
type AddAddress struct {
	MemberID string
	// Address with its id, made at the edge (UUIDv7). Its Default counts where Choice says so; a first address that says
	// nothing is the default.
	Address Address
	Choice  bool
	// Limit of addresses in one book.
	Limit int
}

// Subject is the member.
func (c AddAddress) Subject() string { return c.MemberID }

// ChangeAddress is PATCH /api/v1/members/me/addresses/{addressId}. What is nil stays.
type ChangeAddress struct {
	MemberID   string
	AddressID  string
	Name       *string
	Phone      *string
	Line1      *string
	Line2      *string
	City       *string
	PostalCode *string
	Country    *string
	Default    *bool
}

// Subject is the member.
func (c ChangeAddress) Subject() string { return c.MemberID }

// RemoveAddress is DELETE /api/v1/members/me/addresses/{addressId}.
type RemoveAddress struct{ MemberID, AddressID string }

// Subject is the member.
func (c RemoveAddress) Subject() string { return c.MemberID }

// Import is a member of MEMBERS_FILE: whoever is there already, or has been erased, stays so.
type Import struct{ Member Member }

// Subject is the member.
func (c Import) Subject() string { return c.Member.MemberID }

// Made is what commands answer: ids only. Answers are kept for the idempotency key, and a member who is erased must
// not be found there; the edge reads the rest once it is committed.
type Made struct {
	MemberID  string `json:"memberId"`
	AddressID string `json:"addressId,omitempty"`
}
