package wire_test

import (
	"testing"

	"github.com/socketcluster-go/socketcluster/wire"
)

// TestVersion pins PP-1 and HS-5.
func TestVersion(t *testing.T) {
	tests := []struct {
		v          wire.Version
		ping, pong string
		valid      bool
	}{
		{wire.Version1, "#1", "#2", true},
		{wire.Version2, "", "", true},
		{0, "", "", false},
		{3, "", "", false},
	}
	for _, tt := range tests {
		if tt.v.Ping() != tt.ping || tt.v.Pong() != tt.pong || tt.v.Valid() != tt.valid {
			t.Errorf("PP-1: version %d: %q %q %v", tt.v, tt.v.Ping(), tt.v.Pong(), tt.v.Valid())
		}
	}
}
