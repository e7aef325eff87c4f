package order

// verdict is what CancelOrderPolicy says about a request to cancel.
type verdict int

const (
	cancelNow    verdict = iota + 1 // nothing irrevocable happened: cancelled at once
	cancelAsk                       // completed: shipping has to stop the parcel first
	cancelSame                      // already being cancelled, or asked for: the same answer again
	cancelTooNow                    // on its way, or shipping has refused
)

// cancelVerdict says what a state allows.
func cancelVerdict(o Order) verdict {
	switch {
	case o.Status == Pending:
		return cancelNow
	case o.Status == Cancelling || o.Status == Cancelled:
		return cancelSame
	case o.Status != Completed || o.CancelRequest == CancelNotAllowed:
		return cancelTooNow
	case o.CancelRequest == CancelRequested:
		return cancelSame
	}
	return cancelAsk
}
