package admission_test

import (
	"net/netip"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/admission"
)

func TestSubnet(t *testing.T) {
	for _, test := range [][2]string{
		{"192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"fe80::1%eth0", "fe80::"},
		{"::1", "::"},
	} {
		if got := admission.Subnet(netip.MustParseAddr(test[0])); got != netip.MustParseAddr(test[1]) {
			t.Errorf("%s: %s, want %s", test[0], got, test[1])
		}
	}
	if got := admission.Subnet(netip.Addr{}); got.IsValid() {
		t.Errorf("the zero Addr became %s", got)
	}
}
