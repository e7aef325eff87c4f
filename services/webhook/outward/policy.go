// Package outward is how deliveries leave: an HTTP client for addresses that somebody else chose. Whoever may name a URL
// must not reach with it what only this machine can reach (server-side request forgery), so the address is judged where
// the connection is made, after the name was looked up: a name that is public when it is checked and private when it is
// dialled (DNS rebinding) is refused like any other, as there is no moment in between.
package outward

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Policy says where deliveries may go. The zero value lets none through: it has no ports.
type Policy struct {
	// Ports are those of public addresses.
	Ports []uint16
	// Loopback lets through this machine's own addresses, on any port, and http to them: for development.
	Loopback bool
}

// ErrRefused says that the policy does not let a connection be made.
var ErrRefused = errors.New("deliveries may not go there")

// longestURL bounds an endpoint's URL, in bytes.
const longestURL = 2048

// CheckURL judges what can be judged without looking up the name, so that most mistakes are told at once. The text of
// the error is for whoever gave the URL.
func (p Policy) CheckURL(raw string) error {
	if len(raw) > longestURL {
		return fmt.Errorf("the URL is at most %d bytes long", longestURL)
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the URL is printable ASCII: a host with other letters is written in punycode")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return errors.New("it is not an absolute URL, such as https://shop.example/hooks")
	}
	if u.User != nil || u.Fragment != "" {
		return errors.New("the URL has no user, password or fragment")
	}
	port, err := portOf(u)
	if err != nil {
		return err
	}
	local := p.Loopback && isLocal(u.Hostname())
	switch {
	case u.Scheme != "https" && (!local || u.Scheme != "http"):
		return errors.New("the URL begins with https://")
	case local:
		return nil
	case isLocal(u.Hostname()):
		return errors.New("the URL names this machine")
	case !slices.Contains(p.Ports, port):
		return fmt.Errorf("port %d is not one of those that deliveries may go to: %v", port, p.Ports)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !p.allows(ip, port) {
		return errors.New("the URL's address is not a public one")
	}
	return nil
}

func portOf(u *url.URL) (uint16, error) {
	if u.Port() == "" && !strings.HasSuffix(u.Host, ":") {
		return map[string]uint16{"http": 80, "https": 443}[u.Scheme], nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return 0, errors.New("the URL's port is not a number from 1 to 65535")
	}
	return uint16(port), nil
}

// isLocal: the names that RFC 6761 keeps for this machine, and its addresses.
func isLocal(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// control is a net.Dialer's: it is asked about every address that is about to be connected to, after the name was
// looked up, and what it refuses is not connected to. There is no other way out of the client.
func (p Policy) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", ErrRefused, network)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, &net.AddrError{Err: "not an address and a port", Addr: address})
	}
	if !p.allows(to.Addr(), to.Port()) {
		return fmt.Errorf("%w: %s", ErrRefused, to)
	}
	return nil
}

func (p Policy) allows(ip netip.Addr, port uint16) bool {
	if ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap() // ::ffff:10.0.0.1 is 10.0.0.1
	if ip.IsLoopback() {
		return p.Loopback
	}
	return Public(ip) && slices.Contains(p.Ports, port)
}

// Public says whether an address belongs to somebody on the Internet. For IPv6 that is what IANA has given out
// (2000::/3) without what leads somewhere else inside it; for IPv4 everything that is not set aside. An IPv4 address
// inside an IPv6 one is refused in every form but the mapped one, which is judged as what it is.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsValid() || ip.Zone() != "" || ip.Is6() && !assigned6.Contains(ip) {
		return false
	}
	return !slices.ContainsFunc(setAside, func(p netip.Prefix) bool { return p.Contains(ip) })
}

var assigned6 = netip.MustParsePrefix("2000::/3")

// setAside is from IANA's registries of special-purpose addresses, RFC 6890 and its successors.
var setAside = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // shared by a provider's customers (CGNAT); some clouds' metadata
	"127.0.0.0/8",       // this machine
	"169.254.0.0/16",    // link-local; the clouds' metadata is at 169.254.169.254
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments; Oracle's metadata at 192.0.0.192
	"192.0.2.0/24",      // documentation
	"192.31.196.0/24",   // AS112
	"192.52.193.0/24",   // AMT
	"192.88.99.0/24",    // 6to4 relays
	"192.168.0.0/16",    // private
	"192.175.48.0/24",   // AS112
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, and broadcast
	"168.63.129.16/32",  // Azure's host, from inside Azure
	"2001::/23",         // protocol assignments: Teredo, benchmarks, ORCHID
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4: an IPv4 address inside
	"2620:4f:8000::/48", // AS112
	"3fff::/20",         // documentation
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}
