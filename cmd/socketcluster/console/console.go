package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
)

// Options of a console.
type Options struct {
	URL    string         // of the server; "" if the script connects
	Client client.Options // its TokenStore is kept, its Logger replaced
	Store  string         // describes the token store, for the user

	In     io.Reader
	Out    io.Writer
	File   string        // the name of the script, for errors
	Color  bool          // colours for a terminal
	JSON   bool          // prints one JSON object a line
	Within time.Duration // the time that expect and wait have by default; 0 means 5 s
}

// ErrFailed reports that a script has failed. The reason has been printed.
var ErrFailed = errors.New("the script has failed")

// errQuit ends a console.
var errQuit = errors.New("quit")

// Run runs the lines of a script until its end, the command quit, or the end of
// ctx. It returns ErrFailed if a command has failed, the error of ctx if that has ended
// first, and another error if the options or the script cannot be used. A read of the
// script that goes on when ctx ends stays until it is done.
func Run(ctx context.Context, o Options) error {
	c := newConsole(ctx, o, o.Out)
	defer c.close()
	if o.URL != "" {
		err := c.connect(o.URL)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, new(usageError)):
			return err // no line of the script is to blame, and no server
		case err != nil:
			c.print.failure(err)
			return ErrFailed
		}
	}
	number := 0
	for line, err := range lines(c.ctx, o.In) {
		if err != nil {
			return err
		}
		number++
		err := c.line(number, line)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == errQuit {
			break
		}
		if err != nil {
			return c.failed(number, err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if c.failure != nil {
		return c.failed(c.failedAt, c.failure)
	}
	return nil
}

// lines returns the lines of a script until ctx ends, also while a read waits.
func lines(ctx context.Context, in io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		type result struct {
			line string
			err  error
		}
		results := make(chan result)
		go func() {
			defer close(results)
			send := func(line string, err error) bool {
				select {
				case results <- result{line, err}:
					return true
				case <-ctx.Done():
					return false
				}
			}
			s := bufio.NewScanner(in)
			s.Buffer(nil, 16<<20)
			for s.Scan() {
				if !send(s.Text(), nil) {
					return
				}
			}
			if err := s.Err(); err != nil {
				send("", err)
			}
		}()
		for {
			select {
			case r, ok := <-results:
				if !ok || !yield(r.line, r.err) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// failed reports the line with which a script ends.
func (c *console) failed(number int, err error) error {
	if err == c.failure {
		number = c.failedAt
	}
	where := fmt.Sprintf("line %d", number)
	if c.o.File != "" {
		where = fmt.Sprintf("%s:%d", c.o.File, number)
	}
	c.print.failure(fmt.Errorf("%s: %w", where, err))
	return ErrFailed
}

// console runs commands. One goroutine uses it.
type console struct {
	o      Options
	ctx    context.Context
	now    context.Context // of the command that runs
	cancel context.CancelFunc
	out    *lockedWriter
	print  printer
	record record

	client   *client.Client
	current  atomic.Pointer[client.Client] // client, for the handlers of its events
	prompted func()                        // shows the prompt of now; nil in a script
	subs     map[string]*client.Subscription
	answer   json.RawMessage // of the last call
	answered bool            // it has one
	failure  error           // of the last command, which the next line may expect
	failedAt int             // its line
}

func newConsole(ctx context.Context, o Options, out io.Writer) *console {
	if o.Within == 0 {
		o.Within = 5 * time.Second
	}
	c := &console{o: o, out: &lockedWriter{out: out}, subs: make(map[string]*client.Subscription)}
	c.print = printer{out: c.out, color: o.Color, json: o.JSON}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.now = c.ctx
	c.record.changed = make(chan struct{})
	return c
}

func (c *console) close() {
	c.out.close()
	c.cancel()
	if c.client != nil {
		c.client.Close()
	}
}

// line runs a line of a script. A command that fails gives the next line the
// chance to expect that.
func (c *console) line(number int, text string) error {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasPrefix(text, "#") {
		return nil
	}
	expected := c.failure
	if expected != nil && !expectsError(text) {
		return expected
	}
	err := c.run(text)
	switch {
	case err == nil:
		return nil
	case expected != nil || errors.As(err, new(usageError)) || errors.As(err, new(unmetError)) || err == errQuit:
		return err
	}
	c.failure, c.failedAt = err, number
	return nil
}

// expectsError reports whether a line is about the error of the line before.
func expectsError(text string) bool {
	words := strings.Fields(text)
	return len(words) > 1 && words[0] == "expect" && (words[1] == "error" || len(words) > 2 && words[1] == "no" && words[2] == "error")
}

// usageError is the error of a line that cannot be understood.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run runs a command.
func (c *console) run(text string) error {
	name, rest, err := word(text)
	if err != nil {
		return err
	}
	for _, cmd := range commands() {
		if cmd.name == name {
			return cmd.run(c, rest)
		}
	}
	return usage("there is no command %q%s", name, nearest(name))
}

// connect connects to a server, by a client of its own.
func (c *console) connect(url string) error {
	if c.client != nil {
		c.client.Close()
		clear(c.subs)
	}
	o := c.o.Client
	o.Logger = c.print.logger()
	next, err := client.New(url, o)
	if err != nil {
		return usageError{err}
	}
	c.client = next
	c.current.Store(next)
	c.watch(next)
	return untilPrinted[client.ConnectEvent](c, next, func() error { return next.Connect(c.now) })
}

// untilPrinted does something that causes an event, and waits until that has been printed:
// what the command prints then comes behind it, and a short script shows it too.
func untilPrinted[E client.Event](c *console, cl *client.Client, do func() error) error {
	printed := make(chan struct{})
	tell := sync.OnceFunc(func() { close(printed) })
	defer client.On(cl, func(E) { tell() })() // behind the handler of watch
	if err := do(); err != nil {
		return err
	}
	select {
	case <-printed:
		return nil
	case <-c.now.Done():
		return c.now.Err()
	}
}

// needClient returns the client, or an error that says how to get one.
func (c *console) needClient() (*client.Client, error) {
	if c.client == nil {
		return nil, usage("there is no connection: connect ws://localhost:8000")
	}
	return c.client, nil
}

// eventNames are the events that watch records.
var eventNames = []string{
	"authenticate", "connect", "connectAbort", "deauthenticate", "disconnect", "error",
	"kickOut", "lost", "raw", "subscribe", "subscribeFail", "unsubscribe",
}

// watch records and prints what happens to a client.
func (c *console) watch(cl *client.Client) {
	note := func(kind, name string, data any) {
		raw, err := json.Marshal(data)
		if err != nil {
			raw = []byte(`null`)
		}
		c.note(happening{kind, name, raw})
	}
	client.On(cl, func(e client.ConnectEvent) {
		data := map[string]any{"id": e.ID, "isAuthenticated": e.IsAuthenticated}
		if e.AuthError != nil {
			data["authError"] = e.AuthError.Error()
		}
		note("event", "connect", data)
	})
	client.On(cl, func(e client.ConnectAbortEvent) {
		note("event", "connectAbort", closing{int(e.Code), e.Reason})
	})
	client.On(cl, func(e client.DisconnectEvent) {
		note("event", "disconnect", closing{int(e.Code), e.Reason})
	})
	client.On(cl, func(e client.CloseEvent) {
		note("close", fmt.Sprint(int(e.Code)), closing{int(e.Code), e.Reason})
	})
	client.On(cl, func(e client.ErrorEvent) { note("event", "error", map[string]string{"error": e.Err.Error()}) })
	client.On(cl, func(e client.RawEvent) { note("event", "raw", string(e.Data)) })
	client.On(cl, func(e client.SubscribeEvent) { note("event", "subscribe", map[string]string{"channel": e.Channel}) })
	client.On(cl, func(e client.SubscribeFailEvent) {
		note("event", "subscribeFail", map[string]string{"channel": e.Channel, "error": e.Err.Error()})
	})
	client.On(cl, func(e client.UnsubscribeEvent) { note("event", "unsubscribe", map[string]string{"channel": e.Channel}) })
	client.On(cl, func(e client.KickOutEvent) {
		note("event", "kickOut", struct {
			Channel string          `json:"channel"`
			Message json.RawMessage `json:"message,omitempty"`
		}{e.Channel, e.Message})
	})
	client.On(cl, func(e client.LostEvent) {
		note("event", "lost", struct {
			Channel  string `json:"channel"`
			From     uint64 `json:"from,omitempty"`
			To       uint64 `json:"to,omitempty"`
			Position string `json:"position,omitempty"`
		}{e.Channel, e.From, e.To, e.Position})
	})
	client.On(cl, func(e client.AuthenticateEvent) { note("event", "authenticate", claims(e.AuthToken)) })
	client.On(cl, func(e client.DeauthenticateEvent) { note("event", "deauthenticate", claims(e.OldAuthToken)) })
	cl.ReceiveDefault(func(_ context.Context, t *socketcluster.Transmission) error {
		c.note(happening{"transmit", t.Receiver, t.Data})
		return nil
	})
	cl.HandleDefault(func(_ context.Context, call *socketcluster.Call) (any, error) {
		c.note(happening{"call", call.Procedure, call.Data})
		if answer, ok := c.record.answerTo(call.Procedure); ok {
			return orNil(answer), nil
		}
		return nil, socketcluster.Errorf("UnknownProcedureError", "The client has no such procedure")
	})
}

// closing is the end of a connection.
type closing struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// note prints and records something that has happened, in this order: a line that has
// expected it may be the last one.
func (c *console) note(h happening) {
	if c.prompted != nil { // the line that is being typed may stand behind it for long
		c.prompted()
	}
	c.print.happening(h)
	c.record.add(h)
}
