package outward

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// What a URL must not reach, in every spelling that has been used against such a check.
var forbidden = []string{
	// This machine.
	"https://127.0.0.1/", "https://127.1.2.3/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
	"https://localhost/", "https://LOCALHOST./", "https://a.localhost/", "https://0.0.0.0/", "https://[::]/", "https://[::127.0.0.1]/",
	// Neighbours.
	"https://10.0.0.1/", "https://10.255.255.255/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/",
	"https://100.64.0.1/", "https://100.127.255.255/", "https://[fc00::1]/", "https://[fd12:3456::1]/", "https://[fec0::1]/",
	"https://[::ffff:10.0.0.1]/", "https://[::ffff:a00:1]/", "https://[64:ff9b::10.0.0.1]/", "https://[64:ff9b:1::a00:1]/",
	"https://[2002:a00:1::]/", "https://[2001:0:a00:1::]/",
	// Metadata of the clouds.
	"https://169.254.169.254/latest/meta-data/", "https://[::ffff:169.254.169.254]/", "https://[fd00:ec2::254]/",
	"https://169.254.170.2/", "https://100.100.100.200/", "https://192.0.0.192/", "https://168.63.129.16/",
	// Links, groups, and what nobody has.
	"https://169.254.0.1/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://224.0.0.1/", "https://239.1.1.1/",
	"https://[ff02::1]/", "https://[ff0e::1]/", "https://255.255.255.255/", "https://240.0.0.1/", "https://0.1.2.3/",
	"https://192.0.2.1/", "https://198.51.100.1/", "https://203.0.113.1/", "https://198.18.0.1/", "https://[2001:db8::1]/",
	"https://[100::1]/", "https://[3fff::1]/",
	// Ports.
	"https://8.8.8.8:22/", "https://8.8.8.8:80/", "https://shop.example:6379/", "https://shop.example:0/", "https://shop.example:99999/",
	"https://shop.example:/", "https://8.8.8.8:5432/",
	// Not what a delivery is.
	"http://shop.example/", "http://8.8.8.8/", "ftp://shop.example/", "file:///etc/passwd", "gopher://shop.example/", "//shop.example/",
	"shop.example", "", "https://", "https:///path", "https:shop.example", "https://user@shop.example/", "https://user:pw@shop.example/",
	"https://shop.example/#x", "https://sh op.example/", "https://shop.example/\r\nHost: x", "https://shöp.example/", "javascript:alert(1)",
	"https://shop.example/" + strings.Repeat("a", 2048),
}

func TestForbiddenURLs(t *testing.T) {
	t.Parallel()
	p := Policy{Ports: []uint16{443, 8443}}
	for _, raw := range forbidden {
		if err := p.CheckURL(raw); err == nil {
			t.Errorf("%q was taken", raw)
		}
	}
	for _, raw := range []string{
		"https://shop.example/hooks?token=x", "https://shop.example", "https://shop.example:8443/a", "https://8.8.8.8/",
		"https://[2606:4700::1111]/", "https://xn--shp-fna.example/", "https://shop.example:443/",
		// Texts that look like numbers are names: whatever a resolver makes of them is judged when it is dialled.
		"https://2130706433/", "https://0x7f.1/",
	} {
		if err := p.CheckURL(raw); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

// The dialler's check has the last word, for whatever a name was looked up to.
func TestForbiddenAddresses(t *testing.T) {
	t.Parallel()
	p := Policy{Ports: []uint16{443}}
	for _, address := range []string{
		"127.0.0.1:443", "[::1]:443", "[::ffff:127.0.0.1]:443", "10.1.2.3:443", "172.20.0.1:443", "192.168.0.1:443",
		"169.254.169.254:443", "100.64.0.1:443", "0.0.0.0:443", "[::]:443", "[fe80::1%eth0]:443", "[fe80::1]:443", "[fd00:ec2::254]:443",
		"[ff02::1]:443", "224.0.0.251:443", "255.255.255.255:443", "[64:ff9b::a00:1]:443", "[2002:7f00:1::]:443", "[::10.0.0.1]:443",
		"8.8.8.8:80", "8.8.8.8:22", "not an address", "8.8.8.8", "localhost:443",
	} {
		if err := p.control("tcp4", address, nil); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, network := range []string{"udp4", "unix", "tcp", "ip4"} {
		if err := p.control(network, "8.8.8.8:443", nil); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", network, err)
		}
	}
	for _, address := range []string{"8.8.8.8:443", "[2606:4700::1111]:443", "[::ffff:8.8.8.8]:443"} {
		if err := p.control("tcp6", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// For development this machine can be reached, with http and on any port, and nothing else can.
func TestLoopbackForDevelopment(t *testing.T) {
	t.Parallel()
	p := Policy{Ports: []uint16{443}, Loopback: true}
	for raw, ok := range map[string]bool{
		"http://127.0.0.1:4000/": true, "http://localhost:4000/": true, "https://[::1]:4000/": true, "http://a.localhost/": true,
		"http://10.0.0.1/": false, "http://shop.example/": false, "https://10.0.0.1/": false, "ftp://localhost/": false,
		"https://localhost.shop.example:4000/": false,
	} {
		if err := p.CheckURL(raw); (err == nil) != ok {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for address, ok := range map[string]bool{"127.0.0.1:4000": true, "[::1]:80": true, "10.0.0.1:443": false, "169.254.169.254:443": false} {
		if err := p.control("tcp4", address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A name that leads to this machine is refused when it is dialled, not only by its spelling.
func TestNameThatLeadsHere(t *testing.T) {
	t.Parallel()
	c := NewClient(Policy{Ports: []uint16{443}}, nil)
	_, err := c.Post(context.Background(), "https://localhost:443/", nil, nil)
	if !errors.Is(err, ErrRefused) {
		t.Errorf("dialled: %v", err)
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, raw := range forbidden {
		f.Add(raw)
	}
	f.Add("https://shop.example:8443/hooks")
	p := Policy{Ports: []uint16{443, 8443}}
	f.Fuzz(func(t *testing.T, raw string) {
		if p.CheckURL(raw) != nil {
			return
		}
		if !strings.HasPrefix(strings.ToLower(raw), "https://") {
			t.Errorf("taken: %q", raw)
		}
		host := strings.TrimPrefix(strings.ToLower(raw), "https://")
		if i := strings.IndexAny(host, "/?:"); i >= 0 {
			host = host[:i]
		}
		if ip, err := netip.ParseAddr(host); err == nil && (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()) {
			t.Errorf("taken: %q", raw)
		}
	})
}
