package fault

import (
	"errors"
	"io"
	"net"
)

// Outage says that an error is a machine's or a way's and not the request's: a connection that cannot be made or that
// ended, a database that goes down, comes up or takes no more. The same request may well be answered the next moment,
// so its answer is 503 and not 500. By SQLSTATE: class 08, 53 (53300 too many connections), and 57P01 to 57P05 (going
// down, crashed, starting up). What is not known for an outage is none: a 500 is looked into.
func Outage(err error) bool {
	if state := SQLState(err); len(state) == 5 {
		return state[:2] == "08" || state[:2] == "53" || state[:3] == "57P"
	}
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF)
}
