package pairs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/wire"
)

// hangLimit ends a case in which something does not happen at all.
const hangLimit = 20 * time.Second

// world is what the cases share.
type world struct {
	tokens  map[string]string // by placeholder
	servers [numPairings]int  // ports
	node    *node
}

func newWorld(t *testing.T) *world {
	w := &world{tokens: newTokens(t), node: startNode(t)}
	start := func(p pairing) int {
		port := freePort(t)
		proc.Start(t, p.command(t, port, pingTimeout))
		return port
	}
	for _, p := range goClients {
		w.servers[p] = start(p)
	}
	w.servers[npmToOurs] = w.servers[goToOurs]
	return w
}

// Every case gives the same in every pairing, except where it says why not.
func TestPairs(t *testing.T) {
	w := newWorld(t)
	for i, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var all sync.WaitGroup
			for p := range numPairings {
				r := &run{world: w, t: t, pairing: p, prefix: fmt.Sprintf("c%dp%d.", i, p), port: w.servers[p]}
				if c.alone {
					r.host = newHost(t, p)
					r.port = r.host.port
				}
				all.Go(func() { r.run(c) })
			}
			all.Wait()
		})
	}
}

// newTokens returns the tokens that cases name.
func newTokens(t *testing.T) map[string]string {
	sign := func(key, claims string) string {
		engine, err := auth.NewJWT(auth.Options{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		token, err := engine.Sign(t.Context(), json.RawMessage(claims))
		if err != nil {
			t.Fatal(err)
		}
		return token.Signed()
	}
	return map[string]string{
		"$alice":   sign(key, `{"username":"alice"}`),
		"$bob":     sign(key, `{"username":"bob"}`),
		"$expired": sign(key, `{"username":"alice","iat":999999000,"exp":1000000000}`),
		"$early":   sign(key, `{"username":"alice","nbf":4000000000}`),
		"$forged":  sign("another key, which no server has been given", `{"username":"alice"}`),
	}
}

// run is a case in one pairing.
type run struct {
	*world
	t       *testing.T
	pairing pairing
	prefix  string
	port    int
	host    *host // nil unless the case has a server of its own

	ctx     context.Context
	clients map[string]stepper
	waiting map[string]func() (json.RawMessage, error)
	begun   map[string]step
}

// stepper is a client that runs steps, in the order in which they begin.
type stepper func(step string, args []json.RawMessage) (wait func() (json.RawMessage, error))

func (r *run) run(c testCase) {
	ctx, cancel := context.WithTimeout(r.t.Context(), hangLimit)
	defer cancel()
	r.ctx = ctx
	r.clients = make(map[string]stepper)
	r.waiting = make(map[string]func() (json.RawMessage, error))
	r.begun = make(map[string]step)
	if r.host != nil {
		if err := r.host.start(); err != nil {
			r.t.Errorf("%v: %v", r.pairing, err)
			return
		}
	}
	for i, s := range c.steps {
		if err := r.step(s); err != nil {
			r.t.Errorf("%v: step %d, %v: %v", r.pairing, i+1, s, err)
			return
		}
	}
	for label := range r.waiting {
		r.t.Errorf("nobody awaits %s", label)
	}
}

// step runs a step and compares its end.
func (r *run) step(s step) error {
	if s.leftOutIn(r.pairing) {
		return nil
	}
	if fn, ok := processSteps[s.name]; ok {
		return fn(r.host)
	}
	switch s.name {
	case "create":
		return r.create(s)
	case "await":
		wait, begun := r.waiting[s.label], r.begun[s.label]
		delete(r.waiting, s.label)
		value, err := wait()
		return r.compare(begun, value, err)
	}
	list, err := s.argsFor(r.pairing)
	if err != nil {
		return err
	}
	args, err := r.encode(list)
	if err != nil {
		return err
	}
	c := r.clients[s.client]
	if c == nil {
		return errors.New("there is no such client")
	}
	wait := c(s.name, args)
	if s.label != "" {
		r.waiting[s.label], r.begun[s.label] = wait, s
		return nil
	}
	value, err := wait()
	return r.compare(s, value, err)
}

// create makes a client. Its arguments are options, and the token in its store.
func (r *run) create(s step) error {
	o, stored := s.args[0].(options), s.args[1].(string)
	if o.Port == 0 {
		o.Port = r.port
	}
	if o.Port == nobodyListens {
		o.Port = freePort(r.t)
	}
	o.ChannelPrefix = strings.ReplaceAll(o.ChannelPrefix, "@", r.prefix)
	if token, ok := r.tokens[stored]; ok {
		stored = token
	}
	if r.pairing == npmToOurs {
		c := &npmClient{node: r.node, ctx: r.ctx, name: fmt.Sprintf("%s%s", r.prefix, s.client)}
		r.clients[s.client] = c.begin
		_, err := c.begin("create", []json.RawMessage{must(marshal(o)), must(marshal(stored))})()
		r.t.Cleanup(func() {
			c.ctx = context.Background()
			_, _ = c.begin("remove", nil)() // if node has ended, its cleanup says so
		})
		return err
	}
	version := wire.Version2
	if r.pairing == goTo14 {
		version = wire.Version1
	}
	c, err := newGoClient(r.ctx, o, version, stored)
	if err != nil {
		return err
	}
	r.t.Cleanup(c.Close)
	r.clients[s.client] = func(step string, args []json.RawMessage) func() (json.RawMessage, error) {
		type result struct {
			value json.RawMessage
			err   error
		}
		done := make(chan result, 1)
		go func() {
			value, err := c.run(step, args)
			done <- result{value, err}
		}()
		return func() (json.RawMessage, error) {
			end := <-done
			return end.value, end.err
		}
	}
	return nil
}

// encode makes arguments JSON, with the placeholders replaced.
func (r *run) encode(list []any) ([]json.RawMessage, error) {
	args := make([]json.RawMessage, len(list))
	for i, a := range list {
		text, err := marshal(a)
		if err != nil {
			return nil, err
		}
		filled := strings.ReplaceAll(string(text), "@", r.prefix)
		for name, token := range r.tokens {
			filled = strings.ReplaceAll(filled, strconv.Quote(name), strconv.Quote(token))
		}
		args[i] = json.RawMessage(filled)
	}
	return args, nil
}

// compare compares the end of a step with the expected one.
func (r *run) compare(s step, value json.RawMessage, err error) error {
	got := end{}
	var failed error
	switch {
	case err != nil:
		got.failure, failed = canonical(r.blur(errorJSON(err)))
	case value != nil:
		got.value, failed = canonical(r.blur(value))
	}
	if failed != nil {
		return failed
	}
	want := s.endFor(r.pairing)
	for _, text := range []*string{&want.value, &want.failure} {
		if *text != "" {
			if *text, failed = canonical([]byte(*text)); failed != nil {
				return failed
			}
		}
	}
	if got != want {
		return fmt.Errorf("ends with\n%v, want\n%v", got, want)
	}
	return nil
}

var jwt = regexp.MustCompile(`ey[\w-]+\.([\w-]+)\.[\w-]*`)

// blur puts the placeholders back, and the name of the user for other tokens.
func (r *run) blur(text []byte) []byte {
	blurred := strings.ReplaceAll(string(text), r.prefix, "@")
	blurred = jwt.ReplaceAllStringFunc(blurred, func(token string) string {
		for name, known := range r.tokens {
			if token == known {
				return name
			}
		}
		var claims struct{ Username string }
		payload, _ := base64.RawURLEncoding.DecodeString(jwt.FindStringSubmatch(token)[1])
		_ = json.Unmarshal(payload, &claims) // no name is a difference too
		return "$" + claims.Username
	})
	return []byte(blurred)
}

func (e end) String() string {
	switch {
	case e.failure != "":
		return "the error " + e.failure
	case e.value != "":
		return e.value
	}
	return "undefined"
}

func trim(s string) string { return strings.TrimSpace(s) }
