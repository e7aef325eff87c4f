package webhook

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/quadrille-io/quadrille/pkg/fault"
	"github.com/quadrille-io/quadrille/pkg/flow"
)

// OnCreate adds an endpoint and answers with its secret.
func OnCreate(w *World, c Create, m flow.Meta) (flow.Reply, []flow.Event) {
	if w.Count >= w.Rules.MaxEndpoints {
		return flow.Refuse(fault.Conflict(fault.CodeConflict, fmt.Sprintf("There are %d webhooks, and no more are allowed.", w.Count)))
	}
	w.Count++
	e := Endpoint{
		ID: c.ID, URL: c.URL, Events: c.Events, Description: c.Description, State: Enabled, Secret: c.Secret,
		SubscribedAt: m.Now, CreatedAt: m.Now, UpdatedAt: m.Now,
	}
	w.Endpoints.Put(e.ID, e)
	view := e.View()
	view.Secret = c.Secret
	return flow.Reply{Status: 201, Body: view}, nil
}

// OnUpdate changes what is given. Whoever is enabled again, or wants something else, is recorded for without a gap only
// from now on.
func OnUpdate(w *World, c Update, m flow.Meta) (flow.Reply, []flow.Event) {
	e, ok := w.Endpoints.Get(c.ID)
	if !ok {
		return flow.Refuse(fault.NotFound())
	}
	if c.URL != nil && *c.URL != e.URL {
		// The failures were another address's.
		e.URL, e.FailingSince = *c.URL, time.Time{}
	}
	if c.Description != nil {
		e.Description = *c.Description
	}
	if c.Events != nil && !slices.Equal(c.Events, e.Events) {
		e.Events, e.SubscribedAt = c.Events, m.Now
	}
	switch {
	case c.Enabled == nil:
	case *c.Enabled && e.State == Disabled:
		e.State, e.Reason, e.DisabledAt = Enabled, "", time.Time{}
		e.FailingSince, e.SubscribedAt = time.Time{}, m.Now
	case !*c.Enabled && e.State == Enabled:
		e.State, e.Reason, e.DisabledAt = Disabled, ByOperator, m.Now
	}
	e.UpdatedAt = m.Now
	w.Endpoints.Put(e.ID, e)
	return flow.Reply{Status: 200, Body: e.View()}, nil
}

// OnRotate gives the endpoint a new secret. The one it had signs beside it for a day; one that was older signs no more.
func OnRotate(w *World, c Rotate, m flow.Meta) (flow.Reply, []flow.Event) {
	e, ok := w.Endpoints.Get(c.ID)
	if !ok {
		return flow.Refuse(fault.NotFound())
	}
	e.OldSecret, e.OldSecretUntil = e.Secret, m.Now.Add(OldSecretFor)
	e.Secret, e.UpdatedAt = c.Secret, m.Now
	w.Endpoints.Put(e.ID, e)
	view := e.View()
	view.Secret = c.Secret
	return flow.Reply{Status: 200, Body: view}, nil
}

// OnDelete takes the endpoint away, with its secrets; its deliveries and attempts are swept away later.
func OnDelete(w *World, c Delete, m flow.Meta) (flow.Reply, []flow.Event) {
	e, ok := w.Endpoints.Get(c.ID)
	if !ok {
		return flow.Refuse(fault.NotFound())
	}
	e.State, e.Secret, e.OldSecret, e.OldSecretUntil, e.UpdatedAt = Deleted, "", "", time.Time{}, m.Now
	w.Endpoints.Put(e.ID, e)
	return flow.Reply{Status: 204}, nil
}

// OnResend has one event delivered once more, whatever became of it before.
func OnResend(w *World, c Resend, m flow.Meta) (flow.Reply, []flow.Event) {
	if refusal := w.reachable(c.ID); refusal != nil {
		return flow.Refuse(refusal)
	}
	if _, kept := w.Facts.Get(c.EventID); !kept {
		return flow.Refuse(fault.New(404, fault.CodeNotFound, fmt.Sprintf(
			"The event is not kept here: no webhook wanted it when it happened, or that is longer ago than %.0f days.",
			w.Rules.Retention.Hours()/24)))
	}
	key := DeliveryKey(c.ID, c.EventID)
	d, known := w.Deliveries.Get(key)
	if !known {
		d = fresh(w.Rules, c.ID, c.EventID, m.Now)
	}
	w.Deliveries.Put(key, d.again(w.Rules, m.Now))
	return flow.Reply{Status: 202, Body: Queued{EventID: c.EventID}}, nil
}

// OnRecover has everything tried once more that was given up since then, and says whether that can be all there was.
func OnRecover(w *World, c Recover, m flow.Meta) (flow.Reply, []flow.Event) {
	if refusal := w.reachable(c.ID); refusal != nil {
		return flow.Refuse(refusal)
	}
	e, _ := w.Endpoints.Get(c.ID)
	answer := Recovered{More: w.More[c.ID], RecordedSince: e.SubscribedAt}
	if oldest := m.Now.Add(-w.Rules.Retention); oldest.After(answer.RecordedSince) {
		answer.RecordedSince = oldest
	}
	answer.Complete = !c.Since.Before(answer.RecordedSince)
	for key, d := range w.Deliveries.All() {
		if d.EndpointID == c.ID && d.Progress == GivenUp && !d.CreatedAt.Before(c.Since) {
			w.Deliveries.Put(key, d.again(w.Rules, m.Now))
			answer.Queued++
		}
	}
	return flow.Reply{Status: 202, Body: answer}, nil
}

// TestType is the type of the event that OnTest sends.
const TestType = "quadrille.webhook.v1.Test"

// OnTest sends an event that nothing has happened for, the way every event goes.
func OnTest(w *World, c Test, m flow.Meta) (flow.Reply, []flow.Event) {
	if refusal := w.reachable(c.ID); refusal != nil {
		return flow.Refuse(refusal)
	}
	data, err := json.Marshal(map[string]string{"webhookId": c.ID})
	if err != nil {
		panic(err)
	}
	body, err := seal(TestType, m.Now, data)
	if err != nil {
		panic(err)
	}
	w.Facts.Put(c.EventID, Fact{
		EventID: c.EventID, Type: TestType, Subject: c.ID, OccurredAt: m.Now, RecordedAt: m.Now, Body: body,
	})
	w.Deliveries.Put(DeliveryKey(c.ID, c.EventID), fresh(w.Rules, c.ID, c.EventID, m.Now))
	return flow.Reply{Status: 202, Body: Queued{EventID: c.EventID}}, nil
}

// reachable refuses what would only wait: an endpoint that is not there, or not enabled.
func (w *World) reachable(id string) *fault.Refusal {
	e, ok := w.Endpoints.Get(id)
	switch {
	case !ok:
		return fault.NotFound()
	case e.State != Enabled:
		return fault.Conflict(fault.CodeConflict, "The webhook is disabled; enable it first.")
	default:
		return nil
	}
}
