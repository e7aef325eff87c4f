package member_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/quadrille-io/quadrille/pkg/flow"
	"github.com/quadrille-io/quadrille/pkg/flow/flowtest"
	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
	"github.com/quadrille-io/quadrille/services/member"
)

var earlier = flowtest.Now.Add(-time.Hour)

func home() member.Address {
	return member.Address{AddressID: "home", Name: "Kim", Phone: "02-1", Line1: "1 Example-ro", City: "Seoul", PostalCode: "04524", Country: "KR", Default: true}
}

func work() member.Address {
	return member.Address{AddressID: "work", Name: "Kim", Phone: "02-2", Line1: "2 Example-ro", City: "Busan", PostalCode: "48058", Country: "KR"}
}

func kim() member.Member {
	return member.Member{
		MemberID: "kim", Name: "Kim", Email: "Kim@shop.example", Phone: "02-1", Language: "ko", PasswordHash: "$old",
		Addresses: []member.Address{home(), work()}, CreatedAt: earlier, UpdatedAt: earlier,
	}
}

// given is a world of members and of those that are gone.
func given(members ...member.Member) *member.World {
	w := &member.World{}
	for _, x := range members {
		w.Members.Loaded(x.MemberID, x)
		if x.Email != "" {
			w.Owners.Loaded(member.EmailKey(x.Email), x.MemberID)
		}
	}
	return w
}

func gone(id string) member.Member {
	return member.Member{MemberID: id, Erased: true, CreatedAt: earlier, UpdatedAt: earlier}
}

// TestDecide: given members, when a command comes, then the answer, and the member as it is told to others.
func TestDecide(t *testing.T) {
	t.Parallel()
	register := member.Register{MemberID: "lee", Email: "lee@shop.example", Name: "Lee", Phone: "02-3", Language: "en", PasswordHash: "$new"}
	change := func(with func(*member.Change)) member.Change {
		c := member.Change{MemberID: "kim"}
		with(&c)
		return c
	}
	create := member.Change{MemberID: "lee", Email: new("lee@shop.example"), Name: new("Lee"), Create: true, DefaultLanguage: "en"}
	moved := func(with func(*member.ChangeAddress)) member.ChangeAddress {
		c := member.ChangeAddress{MemberID: "kim", AddressID: "work"}
		with(&c)
		return c
	}
	third := member.Address{AddressID: "third", Name: "Kim", Line1: "3 Example-ro"}
	add := func(byDefault, choice bool, limit int) member.AddAddress {
		a := third
		a.Default = byDefault
		return member.AddAddress{MemberID: "kim", Address: a, Choice: choice, Limit: limit}
	}
	single := kim()
	single.Addresses = nil
	for _, c := range []struct {
		name   string
		given  []member.Member
		when   flow.Command
		status int
		code   string
		// then is what differs from kim, or from nobody where the member is new; nil: nothing is told.
		then func(*member.Member)
	}{
		{"register", nil, register, 201, "", func(x *member.Member) {
			*x = member.Member{MemberID: "lee", Email: "lee@shop.example", Name: "Lee", Phone: "02-3", Language: "en"}
		}},
		{"register with an address that is taken, spelled otherwise", []member.Member{kim()}, member.Register{MemberID: "lee", Email: "kIM@SHOP.example"}, 409, "email_taken", nil},
		{"change the name", []member.Member{kim()}, change(func(c *member.Change) { c.Name = new("K. Kim") }), 200, "", func(x *member.Member) { x.Name = "K. Kim" }},
		{"change the phone", []member.Member{kim()}, change(func(c *member.Change) { c.Phone = new("") }), 200, "", func(x *member.Member) { x.Phone = "" }},
		{"change the language", []member.Member{kim()}, change(func(c *member.Change) { c.Language = new("en") }), 200, "", func(x *member.Member) { x.Language = "en" }},
		{"change the e-mail address", []member.Member{kim()}, change(func(c *member.Change) { c.Email = new("new@shop.example") }), 200, "", func(x *member.Member) { x.Email = "new@shop.example" }},
		{"change the spelling of the own address", []member.Member{kim()}, change(func(c *member.Change) { c.Email = new("kim@shop.example") }), 200, "", func(x *member.Member) { x.Email = "kim@shop.example" }},
		{"change to an address that is taken", []member.Member{kim(), {MemberID: "lee", Email: "lee@shop.example"}}, change(func(c *member.Change) { c.Email = new("LEE@shop.example") }), 409, "email_taken", nil},
		{"change nothing", []member.Member{kim()}, change(func(c *member.Change) { c.Name, c.Email = new("Kim"), new("Kim@shop.example") }), 200, "", nil},
		{"change the password", []member.Member{kim()}, change(func(c *member.Change) { c.PasswordHash = new("$new") }), 200, "", nil},
		{"change nobody", nil, change(func(c *member.Change) { c.Name = new("Kim") }), 404, "not_found", nil},
		{"change somebody erased", []member.Member{gone("kim")}, change(func(c *member.Change) { c.Name = new("Kim") }), 404, "not_found", nil},
		{"a first profile", nil, create, 200, "", func(x *member.Member) {
			*x = member.Member{MemberID: "lee", Email: "lee@shop.example", Name: "Lee", Language: "en"}
		}},
		{"a first profile that lacks a name", nil, member.Change{MemberID: "lee", Email: new("l@shop.example"), Create: true}, 400, "missing_field", nil},
		{"a first profile of somebody erased", []member.Member{gone("lee")}, create, 404, "not_found", nil},
		{"erase", []member.Member{kim()}, member.Erase{MemberID: "kim"}, 204, "", func(x *member.Member) { *x = member.Member{MemberID: "kim", Erased: true} }},
		{"erase nobody", nil, member.Erase{MemberID: "kim"}, 404, "not_found", nil},
		{"erase again", []member.Member{gone("kim")}, member.Erase{MemberID: "kim"}, 404, "not_found", nil},
		{"import", nil, member.Import{Member: member.Member{MemberID: "lee", Addresses: []member.Address{home()}}}, 201, "", func(x *member.Member) {
			*x = member.Member{MemberID: "lee", Addresses: []member.Address{home()}}
		}},
		{"import again", []member.Member{kim()}, member.Import{Member: member.Member{MemberID: "kim", Name: "other"}}, 200, "", nil},
		{"import somebody erased", []member.Member{gone("kim")}, member.Import{Member: kim()}, 200, "", nil},
		{"import a taken address", []member.Member{kim()}, member.Import{Member: member.Member{MemberID: "lee", Email: "kim@shop.example"}}, 409, "email_taken", nil},
		{"add an address", []member.Member{kim()}, add(false, false, 3), 201, "", func(x *member.Member) { x.Addresses = append(x.Addresses, third) }},
		{"add a default", []member.Member{kim()}, add(true, true, 3), 201, "", func(x *member.Member) {
			x.Addresses = append(x.Addresses, third)
			x.Addresses[0].Default, x.Addresses[2].Default = false, true
		}},
		{"add the first address", []member.Member{single}, add(false, false, 1), 201, "", func(x *member.Member) {
			x.Addresses = []member.Address{third}
			x.Addresses[0].Default = true
		}},
		{"add the first address, not as the default", []member.Member{single}, add(false, true, 1), 201, "", func(x *member.Member) { x.Addresses = []member.Address{third} }},
		{"add to a full book", []member.Member{kim()}, add(false, false, 2), 422, "address_limit_reached", nil},
		{"add to nobody's book", nil, add(false, false, 2), 404, "not_found", nil},
		{"add to an erased book", []member.Member{gone("kim")}, add(false, false, 2), 404, "not_found", nil},
		{"change an address", []member.Member{kim()}, moved(func(c *member.ChangeAddress) {
			c.Name, c.Phone, c.Line1, c.Line2, c.City, c.PostalCode, c.Country = new("n"), new("p"), new("1"), new("2"), new("c"), new("o"), new("JP")
		}), 200, "", func(x *member.Member) {
			x.Addresses[1] = member.Address{AddressID: "work", Name: "n", Phone: "p", Line1: "1", Line2: "2", City: "c", PostalCode: "o", Country: "JP"}
		}},
		{"make another the default", []member.Member{kim()}, moved(func(c *member.ChangeAddress) { c.Default = new(true) }), 200, "", func(x *member.Member) {
			x.Addresses[0].Default, x.Addresses[1].Default = false, true
		}},
		{"no default", []member.Member{kim()}, member.ChangeAddress{MemberID: "kim", AddressID: "home", Default: new(false)}, 200, "", func(x *member.Member) { x.Addresses[0].Default = false }},
		{"change an address to what it is", []member.Member{kim()}, moved(func(c *member.ChangeAddress) { c.City = new("Busan") }), 200, "", nil},
		{"change an unknown address", []member.Member{kim()}, member.ChangeAddress{MemberID: "kim", AddressID: "x"}, 404, "not_found", nil},
		{"change nobody's address", nil, moved(func(*member.ChangeAddress) {}), 404, "not_found", nil},
		{"remove the default", []member.Member{kim()}, member.RemoveAddress{MemberID: "kim", AddressID: "home"}, 204, "", func(x *member.Member) { x.Addresses = x.Addresses[1:] }},
		{"remove an unknown address", []member.Member{kim()}, member.RemoveAddress{MemberID: "kim", AddressID: "x"}, 404, "not_found", nil},
		{"remove nobody's address", nil, member.RemoveAddress{MemberID: "kim", AddressID: "home"}, 404, "not_found", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := given(c.given...)
			out := flowtest.Decide(t, member.Topology, w, c.when)
			code := ""
			if out.Reply.Refusal != nil {
				code = out.Reply.Refusal.Code
			}
			if out.Reply.Status != c.status || code != c.code {
				t.Fatalf("answered %d %s, want %d %s", out.Reply.Status, code, c.status, c.code)
			}
			told(t, w, out, c.then)
		})
	}
}

// told holds what was emitted, and what is kept, against the member that it should be.
func told(t *testing.T, w *member.World, out flow.Outcome, then func(*member.Member)) {
	t.Helper()
	if then == nil {
		if len(out.Events) > 0 {
			t.Fatalf("told: %v", out.Events)
		}
		return
	}
	want := kim()
	then(&want)
	if len(out.Events) != 1 {
		t.Fatalf("told: %v", out.Events)
	}
	got, _ := w.Members.Get(want.MemberID)
	if got.UpdatedAt != flowtest.Now {
		t.Errorf("changed at %s", got.UpdatedAt)
	}
	want.PasswordHash, want.CreatedAt, want.UpdatedAt = got.PasswordHash, got.CreatedAt, got.UpdatedAt
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	e := out.Events[0]
	if e.Erased != want.Erased {
		t.Fatalf("erased: %v", e.Erased)
	}
	message := &memberv1.MemberChanged{MemberId: want.MemberID}
	if !want.Erased {
		message = eventOf(want)
		message.ChangedAt = e.Message.(*memberv1.MemberChanged).GetChangedAt()
		if !message.GetChangedAt().AsTime().Equal(flowtest.Now) {
			t.Errorf("changed at %s", message.GetChangedAt().AsTime())
		}
	}
	if !proto.Equal(e.Message, message) {
		t.Errorf("told %v, want %v", e.Message, message)
	}
}

func eventOf(x member.Member) *memberv1.MemberChanged {
	e := &memberv1.MemberChanged{MemberId: x.MemberID, Name: x.Name, Email: x.Email, Phone: x.Phone, Language: x.Language}
	for _, a := range x.Addresses {
		e.Addresses = append(e.Addresses, &memberv1.Address{
			AddressId: a.AddressID, Name: a.Name, Phone: a.Phone, Line1: a.Line1, Line2: a.Line2, City: a.City,
			PostalCode: a.PostalCode, Country: a.Country, Default: a.Default,
		})
	}
	return e
}

// Of several in one batch who want one e-mail address, the first has it; one that is given up is free for the next.
func TestAddressesWithinABatch(t *testing.T) {
	t.Parallel()
	w := given(kim())
	status := func(c flow.Command) int { return flowtest.Decide(t, member.Topology, w, c).Reply.Status }
	register := func(id, email string) member.Register { return member.Register{MemberID: id, Email: email} }
	for i, step := range []struct {
		do   flow.Command
		want int
	}{
		{register("a", "New@shop.example"), 201},
		{register("b", "new@shop.example"), 409},
		{register("b", "kim@shop.example"), 409},
		{member.Change{MemberID: "kim", Email: new("k@shop.example")}, 200},
		{register("b", "kim@shop.example"), 201},
		{member.Change{MemberID: "kim", Email: new("kim@shop.example")}, 409},
		{member.Erase{MemberID: "b"}, 204},
		{member.Change{MemberID: "kim", Email: new("kim@shop.example")}, 200},
		{register("b", "other@shop.example"), 201},
	} {
		if got := status(step.do); got != step.want {
			t.Fatalf("step %d: %d, want %d", i, got, step.want)
		}
	}
}

// What a decision has changed is nobody else's row: a World's rows are values.
func TestBooksAreNotSharedBetweenRows(t *testing.T) {
	t.Parallel()
	before := kim()
	w := given(before)
	flowtest.Decide(t, member.Topology, w, member.ChangeAddress{MemberID: "kim", AddressID: "work", Default: new(true)})
	flowtest.Decide(t, member.Topology, w, member.RemoveAddress{MemberID: "kim", AddressID: "home"})
	if !slices.Equal(before.Addresses, kim().Addresses) {
		t.Errorf("the row that was loaded is changed: %v", before.Addresses)
	}
}
