package cluster

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go"
)

// A fill that breaks off leaves open what is missing before what has come: that may have been
// replaced by what has not come.
func TestFillThatBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rv := &Revocations{n: new(Node), ctx: t.Context(), chain: chain{last: 1}}
		ch := make(chan *nats.Msg, 1)
		ch <- &nats.Msg{Header: nats.Header{seqHeader: {"3"}, "Nats-Subject": {"a mark"}}}
		last, _, err := rv.takeBatch(ch)
		if last != 3 || !errors.Is(err, errLag) {
			t.Errorf("got up to %d, %v", last, err)
		}
		if rv.chain.has(2) || !rv.chain.has(3) {
			t.Errorf("has 2: %v, 3: %v", rv.chain.has(2), rv.chain.has(3))
		}
	})
}

// A fill of which a route has lost something has not come to the end.
func TestFillThatLosesSomething(t *testing.T) {
	stored := func(seq, last string) *nats.Msg {
		return &nats.Msg{Header: nats.Header{seqHeader: {seq}, lastHeader: {last}, "Nats-Subject": {"a mark"}}}
	}
	end := func(last string) *nats.Msg {
		return &nats.Msg{Header: nats.Header{"Status": {"204"}, "Nats-Num-Pending": {"0"}, lastHeader: {last}}}
	}
	for _, c := range []struct {
		messages []*nats.Msg
		last     uint64
		err      error
	}{
		{[]*nats.Msg{stored("3", "0"), stored("5", "3"), end("5")}, 5, nil},
		{[]*nats.Msg{stored("3", "0"), stored("7", "5"), end("7")}, 3, errLag},
		{[]*nats.Msg{stored("3", "0"), end("5")}, 3, errLag},
		{[]*nats.Msg{stored("5", "3"), end("5")}, 0, errLag},
		{[]*nats.Msg{{Header: nats.Header{"Status": {"404"}}}}, 0, nil},
		{[]*nats.Msg{{Header: nats.Header{"Status": {noCopy}}}}, 0, errLag},
	} {
		rv := &Revocations{n: new(Node), ctx: t.Context()}
		ch := make(chan *nats.Msg, len(c.messages))
		for _, msg := range c.messages {
			ch <- msg
		}
		if last, more, err := rv.takeBatch(ch); last != c.last || more || !errors.Is(err, c.err) {
			t.Errorf("got up to %d, more: %v, %v; want %d, %v", last, more, err, c.last, c.err)
		}
	}
}
