package inbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/quadrille-io/quadrille/services/simulator/journal"
)

// Message is one mail.
type Message struct {
	ID         string              `json:"id"`
	From       string              `json:"from"`
	To         []string            `json:"to"` // as the envelope says
	Subject    string              `json:"subject"`
	Text       string              `json:"text"`
	HTML       string              `json:"html"`
	Headers    map[string][]string `json:"headers"` // names in canonical form, values decoded
	ReceivedAt time.Time           `json:"receivedAt"`
	// Deliveries counts how often a mail with this Message-ID came for these
	// recipients; a mail program shows it once, and so does the inbox.
	Deliveries int `json:"deliveries"`
}

// entry is a journal line: one of the two.
type entry struct {
	Mail  *Message `json:"mail,omitempty"`
	Again string   `json:"again,omitempty"` // id of a mail that came once more
}

// box keeps the mails, the newest keep of them.
type box struct {
	journal *journal.Journal
	keep    int

	mu    sync.Mutex
	mails []*Message // oldest first
	byID  map[string]*Message
	byKey map[string]*Message // see key
}

func openBox(dir string, keep int) (*box, error) {
	b := &box{keep: keep, byID: map[string]*Message{}, byKey: map[string]*Message{}}
	lines := 0
	j, err := journal.Open(dir, func(line []byte) error {
		lines++
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("decode mail: %w", err)
		}
		b.apply(e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open inbox: %w", err)
	}
	b.journal = j
	if lines > 2*keep {
		return b, b.compact()
	}
	return b, nil
}

// compact leaves only what is kept in the journal.
func (b *box) compact() error {
	entries := make([][]byte, len(b.mails))
	for i, m := range b.mails {
		line, err := json.Marshal(entry{Mail: m})
		if err != nil {
			return fmt.Errorf("encode mail: %w", err)
		}
		entries[i] = line
	}
	if err := b.journal.Replace(entries); err != nil {
		return fmt.Errorf("compact inbox: %w", err)
	}
	return nil
}

// apply changes the box; it must not decide anything, as replay runs it again.
func (b *box) apply(e entry) {
	if m := b.byID[e.Again]; m != nil {
		m.Deliveries++
	}
	m := e.Mail
	if m == nil {
		return
	}
	b.mails = append(b.mails, m)
	b.byID[m.ID] = m
	if k := m.key(); k != "" {
		b.byKey[k] = m
	}
	if len(b.mails) > b.keep {
		old := b.mails[0]
		b.mails[0] = nil
		b.mails = b.mails[1:]
		delete(b.byID, old.ID)
		delete(b.byKey, old.key())
	}
}

// key is what makes two mails the same: "" if the mail has no Message-ID.
func (m *Message) key() string {
	id := m.Headers["Message-Id"]
	if len(id) == 0 {
		return ""
	}
	return id[0] + "\x00" + strings.Join(m.To, "\x00")
}

// put keeps a mail and returns when it is on the disk.
func (b *box) put(m *Message) error {
	b.mu.Lock()
	var e entry
	if known := b.byKey[m.key()]; known != nil {
		e.Again = known.ID
	} else {
		m.ID, m.ReceivedAt, m.Deliveries = uuid.Must(uuid.NewV7()).String(), time.Now().UTC(), 1
		e.Mail = m
	}
	line, err := json.Marshal(e)
	if err != nil {
		b.mu.Unlock()
		return fmt.Errorf("encode mail: %w", err)
	}
	position := b.journal.Append(line)
	b.apply(e)
	b.mu.Unlock()
	return b.journal.Sync(position)
}

// list returns up to limit mails, newest first, those to one address if to is
// not "".
func (b *box) list(to string, limit int) (list []Message, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list = []Message{}
	for _, m := range slices.Backward(b.mails) {
		if to != "" && !slices.ContainsFunc(m.To, func(a string) bool { return strings.EqualFold(a, to) }) {
			continue
		}
		if len(list) == limit {
			return list, true
		}
		list = append(list, *m)
	}
	return list, false
}

func (b *box) get(id string) (Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m := b.byID[id]; m != nil {
		return *m, true
	}
	return Message{}, false
}
