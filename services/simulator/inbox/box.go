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

// kept is a mail as it is kept: its bodies are in the source, and taken out of it when they are asked for.
type kept struct {
	Message
	// Source is the mail as it came; empty for one that an earlier version kept, which has its bodies in Message.
	Source []byte `json:"source,omitempty"`
}

// whole is the mail with its bodies.
func (k kept) whole() Message {
	m := k.Message
	if len(k.Source) == 0 {
		return m
	}
	if parsed, err := parse(k.Source); err == nil { // it was when it came
		m.Text, m.HTML = parsed.Text, parsed.HTML
	}
	return m
}

// entry is a journal line: one of the two.
type entry struct {
	Mail  *kept  `json:"mail,omitempty"`
	Again string `json:"again,omitempty"` // id of a mail that came once more
}

// box keeps the mails, the newest keep of them.
type box struct {
	journal *journal.Journal
	keep    int

	mu    sync.Mutex
	mails []*kept // oldest first
	byID  map[string]*kept
	byKey map[string]*kept // see key
}

func openBox(dir string, keep int) (*box, error) {
	b := &box{keep: keep, byID: map[string]*kept{}, byKey: map[string]*kept{}}
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

// put keeps a mail that was parsed from source, and returns when it is on the disk.
func (b *box) put(m *Message, source []byte) error {
	m.Text, m.HTML = "", ""
	b.mu.Lock()
	var e entry
	if known := b.byKey[m.key()]; known != nil {
		e.Again = known.ID
	} else {
		m.ID, m.ReceivedAt, m.Deliveries = uuid.Must(uuid.NewV7()).String(), time.Now().UTC(), 1
		e.Mail = &kept{Message: *m, Source: source}
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

// query says which mails are asked for.
type query struct {
	before string // only those that came before the mail of this id; "": all
	limit  int
	picks  func(*Message) bool
}

// list returns the newest mails that are asked for, newest first, and whether there are more.
func (b *box) list(q query) (list []Message, more bool) {
	b.mu.Lock()
	var found []kept // of a consistent moment; their sources never change
	for _, k := range slices.Backward(b.mails) {
		// Ids are drawn in the order in which mails come.
		if q.before != "" && k.ID >= q.before || !q.picks(&k.Message) {
			continue
		}
		if more = len(found) == q.limit; more {
			break
		}
		found = append(found, *k)
	}
	b.mu.Unlock()
	list = make([]Message, len(found))
	for i, k := range found {
		list[i] = k.whole()
	}
	return list, more
}

func (b *box) get(id string) (kept, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := b.byID[id]; k != nil {
		return *k, true
	}
	return kept{}, false
}

// isTo says whether it went to this address.
func (m *Message) isTo(address string) bool {
	return slices.ContainsFunc(m.To, func(to string) bool { return strings.EqualFold(to, address) })
}

// isLike says whether it went to an address with this in it.
func (m *Message) isLike(part string) bool {
	return slices.ContainsFunc(m.To, func(to string) bool { return strings.Contains(strings.ToLower(to), strings.ToLower(part)) })
}

// isAbout says whether it names the order, in its Message-ID or in its subject.
func (m *Message) isAbout(order string) bool {
	return strings.Contains(first(m.Headers["Message-Id"]), order) || strings.Contains(m.Subject, order)
}
