package proc

import "testing"

// A test must not run the program of another checkout.
func TestBinaryNameIsOfTheCheckout(t *testing.T) {
	a, b := binaryName("/home/a", "./contract"), binaryName("/home/b", "./contract")
	if a == b || a != binaryName("/home/a", "./contract") || a == binaryName("/home/a", "./bench/centrifuge") {
		t.Errorf("got %q and %q", a, b)
	}
}
