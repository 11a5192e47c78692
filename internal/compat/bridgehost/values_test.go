package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"
)

// What JavaScript throws comes back as it was.
func TestErrorsRoundTrip(t *testing.T) {
	for _, text := range []string{
		`{"message":"m"}`,
		`{"message":"m","name":"N","list":[1],"flag":true}`,
		`"boom"`,
		`5`,
		`[1]`,
	} {
		if got := string(dehydrate(hydrate(json.RawMessage(text)))); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
	for _, text := range []string{`null`, `0`, `""`, `false`} {
		if err := hydrate(json.RawMessage(text)); err == nil {
			t.Errorf("%s is no error", text)
		}
	}
	if got := string(dehydrate(errors.New("m"))); got != `{"message":"m"}` {
		t.Errorf("plain error: %s", got)
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		options string
		expiry  time.Duration
		origins []string
		missing bool
		lenient bool
	}{
		{`{}`, 24 * time.Hour, []string{"*:*"}, false, false},
		{`{"authDefaultExpiry":"2h","origins":["a:1","*:80"],"strictHandshake":false}`, 2 * time.Hour, []string{"a:1", "*:80"}, true, true},
		{`{"authDefaultExpiry":1.5,"origins":"a:1, b:2"}`, 1500 * time.Millisecond, []string{"a:1", "b:2"}, false, false},
		{`{"authDefaultExpiry":null,"authTokenName":"unknown"}`, -1, []string{"*:*"}, false, false},
	} {
		o, _, err := readOptions(json.RawMessage(test.options))
		if err != nil {
			t.Errorf("%s: %v", test.options, err)
			continue
		}
		cfg, err := o.config()
		if err != nil {
			t.Errorf("%s: %v", test.options, err)
			continue
		}
		engine, err := o.auth()
		if err != nil || engine.DefaultExpiry != test.expiry || !slices.Equal(cfg.Origins, test.origins) ||
			cfg.AllowMissingOrigin != test.missing || cfg.Compat.LenientHandshake != test.lenient {
			t.Errorf("%s: expiry %v, error %v, config %+v", test.options, engine.DefaultExpiry, err, cfg)
		}
	}
	for _, bad := range []string{`[]`, `{"pingInterval":"often"}`} {
		if _, _, err := readOptions(json.RawMessage(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestRawMessages(t *testing.T) {
	for _, text := range []string{`"text"`, `{"$binary":"AQL/"}`} {
		data, binary := rawMessage(json.RawMessage(text))
		got, err := json.Marshal(describeMessage(data, binary))
		if err != nil || string(got) != text {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
}

func TestWaitContext(t *testing.T) {
	c := newWaitContext()
	var cancel context.CancelFunc
	c.Context, cancel = context.WithTimeout(c.Context, time.Hour)
	defer cancel()
	if _, ok := c.Deadline(); !ok {
		t.Error("no deadline")
	}
	select {
	case <-c.waiting:
		t.Error("somebody waits already")
	default:
	}
	c.Done()
	c.Done()
	<-c.waiting
}

func TestSignal(t *testing.T) {
	var s signal
	s.raise() // for nobody
	first := s.next()
	select {
	case <-first:
		t.Error("raised before it was")
	default:
	}
	s.raise()
	<-first
	select {
	case <-s.next():
		t.Error("raised twice")
	default:
	}
}
