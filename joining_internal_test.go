package socketcluster

import (
	"testing"

	"github.com/socketcluster-go/socketcluster/wire"
)

// A client that leaves a channel which its subscription has just entered is not in it any more.
func TestUnsubscribeAfterAWaitingSubscriptionHasEntered(t *testing.T) {
	s, _ := lone(t, Config{})
	defer s.srv.wheel.Close()
	j := &joining{done: make(chan struct{})}
	s.extend().joins = map[string]*joining{"a": j}
	if _, entered, err := s.enterHub(&entering{channel: "a", epoch: s.token.epoch.Load(), join: j}); !entered || err != nil {
		t.Fatal(entered, err)
	}
	s.handleUnsubscribe(&wire.Packet{Data: []byte(`"a"`)}, false)
	if s.IsSubscribed("a") {
		t.Error("it is still in the channel")
	}
	if _, entered, err := s.enterHub(&entering{channel: "a", epoch: s.token.epoch.Load(), join: j}); entered || err == nil {
		t.Error("it enters the channel after it has left it")
	}
}
