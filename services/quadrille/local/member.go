package local

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protojson"

	memberv1 "github.com/quadrille-io/quadrille/proto/quadrille/member/v1"
)

// The seeded callers.
const (
	Customer  = "test1234"
	Customer2 = "test5678"
	Operator  = "operator1"
)

// Password is every seeded customer's, for POST /api/v1/sessions. It is for trying and developing, where tokens lie about
// in files anyway.
const Password = "quadrille-dev"

// Members are the seeded customers. Each has an e-mail address, which the inbox takes mails for, and a
// default shipping address, so that an order need not name one.
func Members() []*memberv1.MemberChanged {
	return []*memberv1.MemberChanged{
		Member(Customer, "0190a3a0-0000-7000-8000-000000000001", "en"),
		Member(Customer2, "0190a3a0-0000-7000-8000-000000000002", "ko"),
	}
}

// Member makes up a customer with one address, the default one.
func Member(id, addressID, language string) *memberv1.MemberChanged {
	return &memberv1.MemberChanged{
		MemberId: id, Name: "Member " + id, Email: id + "@example.com", Phone: "+82-2-0000-0000", Language: language,
		Addresses: []*memberv1.Address{{
			AddressId: addressID, Name: "Member " + id, Phone: "+82-2-0000-0000",
			Line1: "1 Example-ro", City: "Seoul", PostalCode: "04524", Country: "KR", Default: true,
		}},
	}
}

// writeMembers writes the file that services read at start. It is personal data, so only the owner
// may read it.
func writeMembers(path string, members []*memberv1.MemberChanged) error {
	var file bytes.Buffer
	file.WriteString("[\n")
	for i, m := range members {
		if i > 0 {
			file.WriteString(",\n")
		}
		encoded, err := protojson.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode member %d: %w", i, err)
		}
		file.Write(encoded)
	}
	file.WriteString("\n]\n")
	return writeFile(path, file.Bytes())
}

// writeFile replaces a file at once: a reader, or a process that is killed half-way, never meets half
// of it. Only the owner may read it.
func writeFile(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	_, err = temp.Write(content)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		if gone := os.Remove(temp.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
