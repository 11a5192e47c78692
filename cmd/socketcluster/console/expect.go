package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster/wire"
)

const expectHelp = `expect answer [JSON]                  what the last call was answered with
expect error [NAME] [JSON]            the error of the line before; JSON is that of its fields
expect publish CHANNEL [JSON]         a publication
expect transmit EVENT [JSON]          an event from the server
expect call PROCEDURE [JSON]          a call of the server
expect event NAME [JSON]              an event of the client: connect, subscribe, kickOut, authenticate and so on
expect close CODE                     the end of the connection
expect no …                           that it does not happen

Each may end with "within DURATION". An object has at least the members that are
expected, and "*" stands for any value.`

// unmetError is the error of an expectation that is not met.
type unmetError struct{ error }

func unmet(format string, args ...any) error { return unmetError{fmt.Errorf(format, args...)} }

func (c *console) runExpect(rest string) error {
	kind, rest, err := word(rest)
	if err != nil {
		return err
	}
	no := kind == "no"
	if no {
		if kind, rest, err = word(rest); err != nil {
			return err
		}
	}
	rest, within, err := c.within(rest)
	if err != nil {
		return err
	}
	switch kind {
	case "answer":
		return c.expectAnswer(no, rest)
	case "error":
		return c.expectError(no, rest)
	case "publish", "transmit", "call", "event", "close":
		return c.expectHappening(kind, no, rest, within)
	}
	return usage("expect %s is not known; help expect lists what is", kind)
}

// within cuts the time off the end of a line.
func (c *console) within(rest string) (before string, within time.Duration, err error) {
	i := strings.LastIndex(rest, "within ")
	if i < 0 || i > 0 && rest[i-1] != ' ' {
		return rest, c.o.Within, nil
	}
	within, err = time.ParseDuration(strings.TrimSpace(rest[i+len("within "):]))
	if err != nil || within < 0 {
		return rest, c.o.Within, nil // it is part of a text
	}
	return strings.TrimSpace(rest[:i]), within, nil
}

func (c *console) expectAnswer(no bool, rest string) error {
	want, err := data(rest)
	if err != nil {
		return err
	}
	if !c.answered {
		if no {
			return nil
		}
		return unmet("no call has been answered, or the last one has failed")
	}
	if matches(want, c.answer) == no {
		return unmet("the answer was %s", shown(c.answer))
	}
	return nil
}

func (c *console) expectError(no bool, rest string) error {
	failure := c.failure
	c.failure = nil
	name, rest, err := word(rest)
	if err != nil {
		return err
	}
	want, err := data(rest)
	if err != nil {
		return err
	}
	if failure == nil {
		if no {
			return nil
		}
		return unmet("the line before has not failed")
	}
	e, ok := errors.AsType[*wire.Error](failure)
	met := name == "" || ok && e.Name == name
	if met && want != nil {
		met = ok && matches(want, json.RawMessage(e.AppendJSON(nil)))
	}
	if met == no {
		return unmet("the error was %w", failure)
	}
	return nil
}

func (c *console) expectHappening(kind string, no bool, rest string, within time.Duration) error {
	name, rest, err := named("what is expected", rest)
	if err != nil {
		return err
	}
	want, err := data(rest)
	if err != nil {
		return err
	}
	if err := known(kind, name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.now, within)
	defer cancel()
	h, ok := c.record.take(ctx, func(h happening) bool {
		return h.kind == kind && h.name == name && matches(want, h.data)
	})
	switch {
	case c.now.Err() != nil:
		return c.now.Err()
	case ok && no:
		return unmet("%s %s %s has happened", kind, name, shown(h.data))
	case ok || no:
		return nil
	}
	if other, ok := c.record.last(kind, name); ok {
		return unmet("%s %s has not come within %v; there is one with %s", kind, name, within, shown(other.data))
	}
	return unmet("%s %s has not come within %v", kind, name, within)
}

// known refuses a name that cannot happen: with "expect no", a typo would never be
// noticed.
func known(kind, name string) error {
	switch kind {
	case "event":
		if !slices.Contains(eventNames, name) {
			return usage("there is no event %q: %s", name, strings.Join(eventNames, ", "))
		}
	case "close":
		if _, err := strconv.ParseUint(name, 10, 16); err != nil {
			return usage("%q is not a close code, such as 1000", name)
		}
	}
	return nil
}

// shown returns data for a message.
func shown(raw json.RawMessage) string {
	if raw == nil {
		return "without data"
	}
	return string(raw)
}
