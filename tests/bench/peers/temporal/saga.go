package main

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const workflowName = "PlaceOrder"

// saga is the workflow of one order.
type saga struct {
	// local runs the steps as local activities: inside the workflow task of
	// the worker that has the workflow, recorded in its history only together
	// with the end of that task.
	local bool
}

// step is an activity and the one that undoes it.
type step struct {
	do, undo any
}

// steps are run in this order, and undone in reverse.
func steps() []step {
	var shop *Shop // activities are found by the name of the method
	return []step{
		{shop.Place, shop.Cancel},
		{shop.DecreaseStock, shop.IncreaseStock},
		{shop.UseCoupon, shop.ReturnCoupon},
		{shop.TakePayment, shop.RefundPayment},
		{shop.Complete, nil},
	}
}

// run takes an order through all steps. When one fails for good, those before
// it, and that one itself (a time-out does not tell whether it was done), are
// undone last first, and the workflow fails.
func (s saga) run(ctx workflow.Context, o Order) (err error) {
	ctx = s.options(ctx)
	var undo []any
	defer func() {
		if err == nil {
			return
		}
		// The undo must also run when the workflow was cancelled.
		ctx, _ := workflow.NewDisconnectedContext(ctx)
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, s.call(ctx, undo[i], o))
		}
	}()
	for _, step := range steps() {
		if step.undo != nil {
			undo = append(undo, step.undo)
		}
		if err := s.call(ctx, step.do, o); err != nil {
			return err
		}
	}
	return nil
}

func (s saga) call(ctx workflow.Context, activity any, o Order) error {
	if s.local {
		return workflow.ExecuteLocalActivity(ctx, activity, o).Get(ctx, nil)
	}
	return workflow.ExecuteActivity(ctx, activity, o).Get(ctx, nil)
}

func (s saga) options(ctx workflow.Context) workflow.Context {
	retry := &temporal.RetryPolicy{
		InitialInterval:    100 * time.Millisecond,
		BackoffCoefficient: 2,
		MaximumInterval:    5 * time.Second,
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy:         retry,
	})
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy:         retry,
	})
}

func register(w worker.Worker, shop *Shop, local bool) {
	w.RegisterWorkflowWithOptions(saga{local: local}.run, workflow.RegisterOptions{Name: workflowName})
	w.RegisterActivity(shop)
}
