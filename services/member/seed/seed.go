// Package seed reads members to begin with from a file.
package seed

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"google.golang.org/protobuf/encoding/protojson"

	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

// Load reads the members of a file: a JSON array of MemberChanged messages in protobuf's JSON form.
// The member service takes them over when it starts. An empty path is no file and no members.
//
// It refuses a file with unknown fields, a member without an id or given twice, an address without an
// id, and two default addresses: each would show much later, as an order without an address. Errors
// name the place in the file and never what stands there.
func Load(path string) ([]*memberv1.MemberChanged, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("read members: %s is not a JSON array: %w", path, err)
	}
	members := make([]*memberv1.MemberChanged, 0, len(entries))
	seen := map[string]bool{}
	for i, entry := range entries {
		m := &memberv1.MemberChanged{}
		if protojson.Unmarshal(entry, m) != nil {
			return nil, fmt.Errorf("read members: entry %d of %s is not a MemberChanged", i, path)
		}
		if err := check(m, seen); err != nil {
			return nil, fmt.Errorf("read members: entry %d of %s: %w", i, path, err)
		}
		members = append(members, m)
	}
	return members, nil
}

func check(m *memberv1.MemberChanged, seen map[string]bool) error {
	if m.GetMemberId() == "" {
		return errors.New("memberId is missing")
	}
	if seen[m.GetMemberId()] {
		return errors.New("memberId stands twice")
	}
	seen[m.GetMemberId()] = true
	addresses, defaults := map[string]bool{}, 0
	for i, a := range m.GetAddresses() {
		if a.GetAddressId() == "" || addresses[a.GetAddressId()] {
			return fmt.Errorf("the addressId of address %d is missing or stands twice", i)
		}
		addresses[a.GetAddressId()] = true
		if a.GetDefault() {
			defaults++
		}
	}
	if defaults > 1 {
		return errors.New("more than one address is the default")
	}
	return nil
}
