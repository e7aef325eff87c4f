package choreography

import (
	"regexp"
	"strings"
	"testing"
)

// Every reference of the AsyncAPI document leads somewhere, and every event says what it is.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	text, err := AsyncAPI(Topologies(), "../../proto")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range regexp.MustCompile(`"\$ref": "#/components/(\w+)/([\w.]+)"`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(text, "\n    "+ref[2]+":\n") {
			t.Errorf("%s %s is referred to, but not there", ref[1], ref[2])
		}
	}
	for _, topology := range Topologies() {
		for _, name := range emittedBy(topology) {
			i := strings.Index(text, "      name: \""+name+"\"\n")
			if i < 0 {
				t.Errorf("%s is not described", name)
				continue
			}
			if section, _, _ := strings.Cut(text[i:], "traits:"); !strings.Contains(section, "summary: ") {
				t.Errorf("%s does not say what it is", name)
			}
		}
	}
	for _, said := range []string{
		"Pieces, at least 1.", // of a field
		"OrderCancelled: the order will not be fulfilled; what was done for it is undone from undo_from backwards.",
	} {
		if !strings.Contains(text, said) {
			t.Errorf("the contract's comment %q is lost", said)
		}
	}
}

// Only the owner writes a topic, and personal data is for three services.
func TestTopics(t *testing.T) {
	t.Parallel()
	text := Topics(Topologies())
	for _, want := range []string{
		"  - name: payment\n    write: [payment.v1]\n    read: [coupon.v1, order.v1, payment.v1, stock.v1]\n    group: payment\n",
		"  - name: mailer\n    write: []\n    read: [member.v1, order.v1, payment.v1, shipping.v1]\n    group: mailer\n",
		"  - name: gateway\n    write: []\n    read: [coupon.v1, order.v1, payment.v1, shipping.v1, stock.v1]\n    group: gateway\n",
		"  - name: member.v1\n    owner: member\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing:\n%s", want)
		}
	}
	if n := strings.Count(text, "member.v1"); n != 5 {
		t.Errorf("member.v1 stands %d times: the topic, its writer and three readers are wanted", n)
	}
}

func TestSection(t *testing.T) {
	t.Parallel()
	all := Topologies()
	once, err := Section("# Title\n"+markBegin+"\nold\n"+markEnd+"\nrest\n", all)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := Section(once, all)
	if err != nil || twice != once {
		t.Errorf("a second run changes the text (error %v)", err)
	}
	for _, want := range []string{
		"# Title\n", "\nrest\n", "stock -- \"StockDecreased<br/>StockDecreaseFailed<br/>StockIncreased", "order -. everything .-> gateway",
		"| payment | CouponUsed | `payment.OnCouponUsed` | PaymentCompleted, PaymentFailed | charge |",
	} {
		if !strings.Contains(once, want) {
			t.Errorf("missing %q", want)
		}
	}
	if strings.Contains(once, "old") {
		t.Error("the old section is still there")
	}
	if _, err := Section("# no markers", all); err == nil {
		t.Error("a text without markers is accepted")
	}
}
