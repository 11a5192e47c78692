package socketcluster

import (
	"fmt"
	"reflect"

	"github.com/socketcluster-go/socketcluster/internal/guard"
)

// Registering something that can never be called is a mistake in the program.
// The functions that register panic, like those of net/http, so that the
// mistake shows where it was made, and not silently or with the first client.

// mustCall panics if f is nil, or a nil function.
func mustCall(what string, f any) {
	if guard.IsNil(f) {
		panic("socketcluster: " + what + " is nil")
	}
}

// mustReach panics if the server itself handles packets with that name (RPC-3).
func mustReach(call, name string) {
	switch name {
	case eventHandshake, eventAuthenticate, eventRemoveAuthToken, eventPublish, eventSubscribe, eventUnsubscribe:
		panic(fmt.Sprintf("socketcluster: %s: the server handles %s itself; middleware sees it", call, name))
	}
}

// mustEmit panics for events that the emitter never emits.
func mustEmit(from Emitter, e Event) {
	if e == nil {
		panic("socketcluster: On: name the type of one event, not Event")
	}
	if v := reflect.ValueOf(from); !v.IsValid() || v.IsNil() {
		panic(fmt.Sprintf("socketcluster: On: the emitter of %T is nil; was the error of New checked?", e))
	}
	if !from.emits(e.kind()) {
		panic(fmt.Sprintf("socketcluster: On: a %T emits no %T", from, e))
	}
}
