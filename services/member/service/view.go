package service

import (
	"time"

	"github.com/quadrille-io/quadrille/services/member"
)

// memberView is a member as the API shows it, to the member alone.
type memberView struct {
	MemberID  string        `json:"memberId"`
	Email     string        `json:"email"`
	Name      string        `json:"name"`
	Phone     string        `json:"phone"`
	Language  string        `json:"language"`
	Addresses []addressView `json:"addresses"`
	CreatedAt time.Time     `json:"createdAt"`
	UpdatedAt time.Time     `json:"updatedAt"`
}

// addressView is an entry of an address book as the API shows it.
type addressView struct {
	AddressID  string `json:"addressId"`
	Name       string `json:"name"`
	Phone      string `json:"phone"`
	Line1      string `json:"line1"`
	Line2      string `json:"line2"`
	City       string `json:"city"`
	PostalCode string `json:"postalCode"`
	Country    string `json:"country"`
	Default    bool   `json:"default"`
}

// sessionView is a token that the services believe, for ExpiresIn seconds.
type sessionView struct {
	AccessToken string     `json:"accessToken"`
	ExpiresIn   int64      `json:"expiresIn"`
	Member      memberView `json:"member"`
}

func viewOf(x member.Member) memberView {
	return memberView{
		MemberID: x.MemberID, Email: x.Email, Name: x.Name, Phone: x.Phone, Language: x.Language,
		Addresses: addressViews(x), CreatedAt: x.CreatedAt, UpdatedAt: x.UpdatedAt,
	}
}

func addressViews(x member.Member) []addressView {
	views := make([]addressView, len(x.Addresses))
	for i, a := range x.Addresses {
		views[i] = addressView(a)
	}
	return views
}
