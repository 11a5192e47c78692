package socketcluster

import (
	"fmt"
	"reflect"
)

// What can never be called, or never is, is a mistake in the program. The
// functions that register it panic, as those of net/http do, so that it shows
// where it was made and not in silence, or with the first client.

// mustCall panics if what is to be called is nil, or a nil function.
func mustCall(what string, f any) {
	if v := reflect.ValueOf(f); !v.IsValid() || v.Kind() == reflect.Func && v.IsNil() {
		panic("socketcluster: " + what + " is nil")
	}
}

// mustReach panics if what clients send by that name is for the server itself
// (RPC-3).
func mustReach(call, name string) {
	switch name {
	case eventHandshake, eventAuthenticate, eventRemoveAuthToken, eventPublish, eventSubscribe, eventUnsubscribe:
		panic(fmt.Sprintf("socketcluster: %s: the server handles %s itself; middleware sees it", call, name))
	}
}

// mustEmit panics for events that would be waited for in vain.
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
