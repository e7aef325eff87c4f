package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Its types have to be known for their payloads to be read.
	_ "github.com/quadrille-io/quadrille/proto/quadrille/coupon/v1"
	orderv1 "github.com/quadrille-io/quadrille/proto/quadrille/order/v1"
	paymentv1 "github.com/quadrille-io/quadrille/proto/quadrille/payment/v1"
	_ "github.com/quadrille-io/quadrille/proto/quadrille/shipping/v1" // for the same
	stockv1 "github.com/quadrille-io/quadrille/proto/quadrille/stock/v1"
)

// topics are those of the choreography, each with the service that alone may write it.
var topics = map[string]string{
	"order.v1": "order", "stock.v1": "stock", "coupon.v1": "coupon", "payment.v1": "payment", "shipping.v1": "shipping",
}

// readTopics reads every topic from its beginning to where it ends now.
func readTopics(ctx context.Context, brokers []string) ([]Event, map[Place]int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.FetchMaxBytes(16<<20), kgo.MaxConcurrentFetches(2))
	if err != nil {
		return nil, nil, fmt.Errorf("read topics: %w", err)
	}
	defer client.Close()
	ends, err := endOffsets(ctx, client)
	if err != nil {
		return nil, nil, err
	}
	left, from := map[Place]int64{}, map[string]map[int32]kgo.Offset{}
	for at, end := range ends {
		if end == 0 {
			continue
		}
		left[at] = end
		if from[at.Topic] == nil {
			from[at.Topic] = map[int32]kgo.Offset{}
		}
		from[at.Topic][at.Partition] = kgo.NewOffset().AtStart()
	}
	client.AddConsumePartitions(from)
	byPlace := map[Place][]Event{}
	words := interner{}
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := errors.Join(ctx.Err(), fetches.Err()); err != nil {
			return nil, nil, fmt.Errorf("read topics: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			e := words.event(r)
			byPlace[e.Place] = append(byPlace[e.Place], e)
			if end, open := left[e.Place]; open && r.Offset >= end-1 {
				delete(left, e.Place)
			}
		})
	}
	return join(byPlace), ends, nil
}

func join(byPlace map[Place][]Event) []Event {
	places := make([]Place, 0, len(byPlace))
	total := 0
	for at, list := range byPlace {
		places, total = append(places, at), total+len(list)
	}
	slices.SortFunc(places, func(a, b Place) int {
		if a.Topic != b.Topic {
			return strings.Compare(a.Topic, b.Topic)
		}
		return int(a.Partition - b.Partition)
	})
	events := make([]Event, 0, total)
	for _, at := range places {
		events = append(events, byPlace[at]...)
		delete(byPlace, at)
	}
	return events
}

func endOffsets(ctx context.Context, client *kgo.Client) (map[Place]int64, error) {
	names := make([]string, 0, len(topics))
	for name := range topics {
		names = append(names, name)
	}
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, names...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list end offsets: %w", err)
	}
	ends := map[Place]int64{}
	listed.Each(func(o kadm.ListedOffset) { ends[Place{o.Topic, o.Partition}] = o.Offset })
	return ends, nil
}

// interner keeps one copy of each word: a million events name a hundred thousand orders.
type interner map[string]string

func (w interner) word(b []byte) string {
	if s, known := w[string(b)]; known {
		return s
	}
	s := string(b)
	w[s] = s
	return s
}

// required are the headers that no event is without.
var required = []string{
	"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_sequence", "ce_correlationid",
	"ce_partitionkey", "traceparent", "content-type",
}

// event reads a record by itself, without the product's own code: what that overlooks is to be seen.
func (w interner) event(r *kgo.Record) Event {
	headers := make(map[string][]byte, len(r.Headers))
	e := Event{Place: Place{w.word([]byte(r.Topic)), r.Partition}, Offset: r.Offset}
	for _, h := range r.Headers {
		if _, twice := headers[h.Key]; twice {
			e.Bad = h.Key + " stands there twice"
		}
		headers[h.Key] = h.Value
	}
	for _, name := range required {
		if len(headers[name]) == 0 {
			e.Bad = name + " is missing"
		}
	}
	full := string(headers["ce_type"])
	e.ID, e.Subject = w.word(headers["ce_id"]), w.word(headers["ce_subject"])
	e.Cause, e.Root, e.Command = w.word(headers["ce_causationid"]), w.word(headers["ce_correlationid"]), string(headers["ce_commandid"])
	e.Type = w.word([]byte(full[strings.LastIndexByte(full, '.')+1:]))
	e.Source = w.word([]byte(strings.TrimPrefix(string(headers["ce_source"]), "/quadrille/")))
	var errSequence, errTime error
	e.Sequence, errSequence = strconv.ParseInt(string(headers["ce_sequence"]), 10, 64)
	e.At, errTime = time.Parse(time.RFC3339Nano, string(headers["ce_time"]))
	owner := topics[r.Topic]
	switch {
	case e.Bad != "":
	case errSequence != nil, errTime != nil:
		e.Bad = "ce_sequence or ce_time cannot be read"
	case string(r.Key) != e.Subject, string(headers["ce_partitionkey"]) != e.Subject:
		e.Bad = "its key is not its subject"
	case e.Source != owner, !strings.HasPrefix(full, "quadrille."+owner+".v1."):
		e.Bad = fmt.Sprintf("%s of %s stands on %s", full, e.Source, r.Topic)
	case string(headers["content-type"]) != "application/protobuf", string(headers["ce_specversion"]) != "1.0":
		e.Bad = "it is no CloudEvent 1.0 with a protobuf message"
	default:
		e.Bad = e.payload(full, r.Value)
	}
	return e
}

// payload reads what the rules need, and says what is wrong with it.
func (e *Event) payload(full string, value []byte) string {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(full))
	if err != nil {
		return "its type is not known: " + full
	}
	message := t.New().Interface()
	if err := proto.Unmarshal(value, message); err != nil {
		return "its payload cannot be read: " + err.Error()
	}
	if of, is := message.(interface{ GetOrderId() string }); is && of.GetOrderId() != e.Subject {
		return "its payload is about another order: " + of.GetOrderId()
	}
	switch m := message.(type) {
	case *orderv1.OrderCreated:
		c := m.GetCheckout()
		e.Amount, e.Points, e.Discount = c.GetPaymentAmount(), c.GetPointAmount(), c.GetDiscountAmount()
	case *orderv1.OrderCompleted:
		e.Amount, e.Points, e.Discount = m.GetPaymentAmount(), m.GetPointAmount(), m.GetDiscountAmount()
	case *orderv1.OrderCancelled:
		e.Undo = strings.TrimPrefix(m.GetUndoFrom().String(), "UNDO_FROM_")
		e.Reason = strings.TrimPrefix(m.GetReason().String(), "CANCEL_REASON_")
	case *paymentv1.PaymentCompleted:
		e.Amount, e.Points, e.Discount = m.GetPaymentAmount(), m.GetPointAmount(), m.GetDiscountAmount()
	case *paymentv1.PaymentCancelled:
		e.Amount, e.Points = m.GetPaymentAmount(), m.GetPointAmount()
	case *paymentv1.PaymentRefunded:
		e.Amount = m.GetPaymentAmount()
	case *stockv1.ProductListed:
		e.Amount = m.GetQuantity()
	case *stockv1.StockRestocked:
		e.Amount = m.GetQuantity()
	}
	return ""
}
