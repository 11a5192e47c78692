package cluster

import (
	"testing"
	"time"
)

// A suspended machine stops the clock of the process. The time passes nevertheless.
func TestPassed(t *testing.T) {
	from := time.Now()
	if got := passed(from, from.Add(time.Second)); got != time.Second {
		t.Errorf("got %v", got)
	}
	if got := passed(from, from.Round(0).Add(time.Minute)); got != time.Minute {
		t.Errorf("after a suspension: %v", got)
	}
}
