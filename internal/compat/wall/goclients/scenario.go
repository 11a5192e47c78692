package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	channel = "members"

	// stepTimeout ends a step that hangs, and failTimeout one that is known to
	// fail.
	stepTimeout = 25 * time.Second
	failTimeout = time.Second
)

var errLate = errors.New("does not end")

// scenario are the steps with one client. Its channels have room, as they are
// filled where the client reads.
type scenario struct {
	failing      []string // the names of steps that are known to fail
	timeout      time.Duration
	connected    chan struct{}
	noted        chan any
	publications chan any
	answers      chan answer
}

// answer is what the client gets to a call, a subscription or a publication.
type answer struct{ err, data any }

func newScenario(failing string) *scenario {
	return &scenario{
		failing:   strings.Split(failing, ","),
		connected: make(chan struct{}, 16), noted: make(chan any, 16), publications: make(chan any, 16), answers: make(chan answer, 16),
	}
}

// run goes through the steps. All listeners come before the connection, as the
// clients do not lock them.
func (s *scenario) run(c client) {
	c.On("noted", func(_ string, data any) { s.noted <- data })
	c.OnAck("double", func(_ string, data any, ack func(err, data any)) {
		n, _ := data.(float64)
		ack(nil, 2*n)
	})
	c.OnChannel(channel, func(_ string, data any) { s.publications <- data })

	s.step("connect", func() error {
		c.Connect()
		_, err := await(s, s.connected)
		return err
	})
	s.step("pings", func() error { return s.call(c, "pings", nil, nil) })
	s.step("call", func() error { return s.call(c, "half", 42, 21.0) })
	s.step("error", func() error {
		_, err := s.ask(func(ack func(string, any, any)) { c.EmitAck("half", 7, ack) })
		if err == nil || !strings.Contains(err.Error(), "Odd") {
			return fmt.Errorf("got %w, want Odd", err)
		}
		return nil
	})
	s.step("event", func() error {
		c.Emit("note", "hello")
		return s.want(s.noted, "hello")
	})
	s.step("called", func() error { return s.call(c, "callMe", 21, 42.0) })
	s.step("login", func() error {
		credentials := map[string]string{"username": "alice", "password": "secret"}
		if _, err := s.ask(func(ack func(string, any, any)) { c.EmitAck("login", credentials, ack) }); err != nil {
			return err
		}
		return s.call(c, "whoami", nil, "alice")
	})
	s.step("subscribe", func() error {
		_, err := s.ask(func(ack func(string, any, any)) { c.SubscribeAck(channel, ack) })
		return err
	})
	s.step("publish", func() error { return s.publish(c, "hello") })
	s.step("receive", func() error { return s.want(s.publications, "hello") })
	s.step("reconnect", func() error {
		c.Emit("drop", nil)
		if _, err := await(s, s.connected); err != nil {
			return err
		}
		if err := s.call(c, "whoami", nil, "alice"); err != nil {
			return err
		}
		if err := s.publish(c, "still here"); err != nil {
			return err
		}
		return s.want(s.publications, "still here")
	})
}

// step reports how a step ends.
func (s *scenario) step(name string, run func() error) {
	s.timeout = stepTimeout
	if slices.Contains(s.failing, name) {
		s.timeout = failTimeout
	}
	line := map[string]string{"step": name}
	if err := run(); err != nil {
		line["error"] = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(line)
}

// ask sends something and waits for the answer.
func (s *scenario) ask(send func(ack func(name string, err, data any))) (any, error) {
	send(func(_ string, err, data any) { s.answers <- answer{err, data} })
	a, err := await(s, s.answers)
	if err == nil && a.err != nil {
		err = fmt.Errorf("%v", a.err)
	}
	return a.data, err
}

// call calls a procedure and compares the answer.
func (s *scenario) call(c client, name string, data, wanted any) error {
	got, err := s.ask(func(ack func(string, any, any)) { c.EmitAck(name, data, ack) })
	if err == nil && got != wanted {
		err = fmt.Errorf("got %v, want %v", got, wanted)
	}
	return err
}

func (s *scenario) publish(c client, text string) error {
	_, err := s.ask(func(ack func(string, any, any)) { c.PublishAck(channel, text, ack) })
	return err
}

// want waits for a value and compares it.
func (s *scenario) want(from <-chan any, wanted any) error {
	got, err := await(s, from)
	if err == nil && got != wanted {
		err = fmt.Errorf("got %v, want %v", got, wanted)
	}
	return err
}

// await waits for a value for as long as the step may take.
func await[T any](s *scenario, from <-chan T) (T, error) {
	select {
	case v := <-from:
		return v, nil
	case <-time.After(s.timeout):
		var none T
		return none, errLate
	}
}
