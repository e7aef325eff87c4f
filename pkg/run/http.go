package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// Listen opens a TCP listener on addr, "127.0.0.1:8080" or ":0".
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return ln, nil
}

// ListenNext is Listen that takes the next free port, of up to tries, when the port of addr is taken.
func ListenNext(ctx context.Context, addr string, tries int) (net.Listener, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: the port is not a number", addr)
	}
	for i := 0; ; i++ {
		ln, err := Listen(ctx, net.JoinHostPort(host, strconv.Itoa(port+i)))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || port == 0 || i+1 >= tries || port+i >= 65535 {
			return ln, err
		}
	}
}

// HTTP returns a component that serves srv on ln and drains for up to drain when it is stopped; what is not done by
// then is cut.
func HTTP(name string, srv *http.Server, ln net.Listener, drain time.Duration) Component {
	return Component{
		Name: name,
		Run: func(context.Context) error {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
			}
			return nil
		},
		Stop: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, drain)
			defer cancel()
			if err := srv.Shutdown(ctx); err != nil {
				return errors.Join(fmt.Errorf("drain for %s: %w", drain, err), srv.Close())
			}
			return nil
		},
		StopTimeout: drain + time.Second,
	}
}
