package check

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/quadrille-io/quadrille/tests/chaos/history"
)

// Source says where the evidence is.
type Source struct {
	// History is the client's log.
	History string
	Brokers []string
	// Databases by service.
	Databases map[string]string
	// PaymentURL and CarrierURL are the simulators'.
	PaymentURL, CarrierURL string
}

// Collect reads everything. The system should be at rest (see Await): what moves meanwhile is read at
// different moments.
func Collect(ctx context.Context, s Source) (*Evidence, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e := &Evidence{Services: map[string]Left{}, Bookings: map[string]string{}}
	var err error
	if e.Events, e.Ends, err = readTopics(ctx, s.Brokers); err != nil {
		return nil, err
	}
	for service, address := range s.Databases {
		if err := e.tables(ctx, service, address); err != nil {
			return nil, err
		}
	}
	if e.Charges, err = charges(ctx, s.PaymentURL); err != nil {
		return nil, err
	}
	if err := e.parcels(ctx, s.CarrierURL); err != nil {
		return nil, err
	}
	if e.Calls, err = history.ReadFile(s.History); err != nil {
		return nil, err
	}
	return e, nil
}

// askers ask the carrier side by side, each over a connection that stays.
const askers = 8

var books = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: askers}, Timeout: 30 * time.Second}

// get reads a JSON answer; 404 leaves out as it is and is no error.
func get(ctx context.Context, address string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	res, err := books.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode == http.StatusNotFound {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %d %.200s", address, res.StatusCode, content)
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("get %s: %w", address, err)
	}
	return nil
}

// charges reads the card provider's books: every captured charge.
func charges(ctx context.Context, base string) ([]Charge, error) {
	var list []Charge
	for after := ""; ; {
		var page struct {
			Data []struct {
				Key       string `json:"key"`
				ChargeID  string `json:"chargeId"`
				Reference string `json:"reference"`
				Token     string `json:"token"`
				Amount    int64  `json:"amount"`
				Refunded  int64  `json:"refunded"`
			} `json:"data"`
			HasMore bool `json:"hasMore"`
		}
		if err := get(ctx, base+"/v1/charges?limit=1000&after="+url.QueryEscape(after), &page); err != nil {
			return nil, fmt.Errorf("read the provider's books: %w", err)
		}
		for _, c := range page.Data {
			list = append(list, Charge{ID: c.ChargeID, Key: c.Key, Order: c.Reference, Amount: c.Amount, Refunded: c.Refunded, Token: c.Token})
			after = c.ChargeID
		}
		if !page.HasMore {
			return list, nil
		}
	}
}

// parcels asks the carrier about every order: it lists only its newest thousand.
func (e *Evidence) parcels(ctx context.Context, base string) error {
	states := make([]string, len(e.Orders))
	errs := make([]error, askers)
	var wg sync.WaitGroup
	for worker := range errs {
		wg.Go(func() {
			for i := worker; i < len(e.Orders) && errs[worker] == nil; i += len(errs) {
				states[i], errs[worker] = parcel(ctx, base, e.Orders[i].ID)
			}
		})
	}
	wg.Wait()
	if err := first(errs...); err != nil {
		return fmt.Errorf("read the carrier's books: %w", err)
	}
	for i, state := range states {
		if state != "" {
			e.Bookings[e.Orders[i].ID] = state
		}
	}
	return nil
}

// parcel is the carrier's state of an order's parcel, "" if there is none.
func parcel(ctx context.Context, base, order string) (string, error) {
	var booking struct {
		State string `json:"state"`
	}
	err := get(ctx, base+"/v1/bookings/by-key/parcel-"+url.PathEscape(order), &booking)
	return booking.State, err
}

// Progress is how much is left to do.
type Progress struct {
	// Open orders are not final yet.
	Open int64
	// Left is all else: rows of outboxes, calls outside, parked subjects, mails, events not read yet.
	Left map[string]int64
}

func (p Progress) quiet() bool {
	for _, n := range p.Left {
		if n > 0 {
			return false
		}
	}
	return p.Open == 0
}

// Await waits until every order is final and nothing is left to do, at most as long as the two limits
// say: from the moment it is called for the orders, and then for the rest. It returns when each was
// so; a zero time says that it never was. told hears of the progress.
func Await(ctx context.Context, s Source, final, rest time.Duration, told func(Progress)) (finalAt, quietAt time.Time, err error) {
	calls, err := history.ReadFile(s.History)
	if err != nil {
		return finalAt, quietAt, err
	}
	m, begin := movedBy(calls), time.Now()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for calm, failures := 0, 0; ; {
		p, err := look(ctx, s, m)
		if err != nil {
			if failures++; failures == tries || !next(ctx, tick.C) {
				return finalAt, quietAt, fmt.Errorf("wait until all is final: %w", err)
			}
			continue
		}
		failures = 0
		told(p)
		now := time.Now()
		if p.Open > 0 {
			finalAt, calm = time.Time{}, 0
		} else if finalAt.IsZero() {
			finalAt = now
		}
		if !p.quiet() {
			calm = 0
		} else if calm++; calm == 1 {
			quietAt = now
		} else if calm >= 4 {
			return finalAt, quietAt, nil // an answer between two services may have been on its way
		}
		late := finalAt.IsZero() && now.Sub(begin) > final
		if late || now.Sub(begin) > final+rest {
			return finalAt, time.Time{}, nil
		}
		if !next(ctx, tick.C) {
			return finalAt, quietAt, fmt.Errorf("wait until all is final: %w", context.Cause(ctx))
		}
	}
}

// tries is how often in a row a look may fail: what was started again a moment ago may still be slow.
const tries = 20

func next(ctx context.Context, tick <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-tick:
		return true
	}
}

// sorted keys of a map, for reports that do not change from run to run.
func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
