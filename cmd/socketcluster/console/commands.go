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

	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/printable"
	"github.com/socketcluster-go/socketcluster/wire"
)

// command is a command of the console.
type command struct {
	name string
	args string
	help string
	run  func(c *console, rest string) error
}

// commands lists the commands, in the order of help.
func commands() []command {
	return []command{
		{"connect", "[URL]", "connects, again or to another server", (*console).runConnect},
		{"disconnect", "[CODE [REASON]]", "closes the connection", (*console).runDisconnect},
		{"login", "PROCEDURE [JSON]", "calls a procedure that sets a token, waits for it, and shows its claims", (*console).runLogin},
		{"logout", "", "removes the token, here and at the server", (*console).runLogout},
		{"token", "[show | set TOKEN | store]", "shows the claims; the signed text; logs in with one; tells where it is kept", (*console).runToken},
		{"invoke", "PROCEDURE [JSON]", "calls a procedure and prints the answer", (*console).runInvoke},
		{"transmit", "EVENT [JSON]", "sends an event that expects no answer", (*console).runTransmit},
		{"answer", "PROCEDURE [JSON]", "answers each call of the server to a procedure with this", (*console).runAnswer},
		{"subscribe", "CHANNEL [wait-for-auth] [last=N] [JSON]", "subscribes, with data for the server; last=10 begins with the last 10 of a history", (*console).runSubscribe},
		{"unsubscribe", "CHANNEL", "ends a subscription", (*console).runUnsubscribe},
		{"publish", "CHANNEL [JSON]", "publishes, and waits until the server has accepted it", (*console).runPublish},
		{"transmit-publish", "CHANNEL [JSON]", "publishes without waiting", (*console).runTransmitPublish},
		{"send", "TEXT", "sends a message as it is", (*console).runSend},
		{"state", "", "shows the connection, the login and the subscriptions", (*console).runState},
		{"expect", "…", "fails unless something has happened; see help expect", (*console).runExpect},
		{"wait", "DURATION", "waits, such as 500ms or 2s", (*console).runWait},
		{"echo", "TEXT", "prints a text", (*console).runEcho},
		{"help", "[COMMAND]", "lists the commands, or explains one", (*console).runHelp},
		{"quit", "", "ends", (*console).runQuit},
	}
}

func (c *console) runConnect(rest string) error {
	url, rest, err := word(rest)
	if err := errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	if url == "" && c.client == nil {
		return usage("the URL of the server is missing, such as ws://localhost:8000")
	}
	if url == "" {
		err = c.client.Connect(c.now)
	} else {
		err = c.connect(url)
	}
	if err != nil {
		return err
	}
	c.print.text("connected to " + c.client.URL())
	return nil
}

func (c *console) runDisconnect(rest string) error {
	cl, err := c.needClient()
	if err != nil {
		return err
	}
	code := 0
	if rest != "" {
		var number string
		number, rest, _ = strings.Cut(rest, " ")
		if code, err = strconv.Atoi(number); err != nil {
			return usage("%q is not a close code, such as 1000", number)
		}
	}
	return cl.Disconnect(wire.CloseCode(code), strings.TrimSpace(rest))
}

// call calls a procedure, by Invoke or Login.
func (c *console) call(rest string, do func(cl *client.Client, ctx context.Context, procedure string, data any) (json.RawMessage, error)) (json.RawMessage, error) {
	cl, err := c.needClient()
	if err != nil {
		return nil, err
	}
	procedure, rest, err := named("the procedure", rest)
	if err != nil {
		return nil, err
	}
	raw, err := data(rest)
	if err != nil {
		return nil, err
	}
	c.answer, err = do(cl, c.now, procedure, orNil(raw))
	c.answered = err == nil || errors.Is(err, client.ErrNoToken)
	return c.answer, err
}

// orNil returns data, or nil for none, which is not the same as an empty
// json.RawMessage.
func orNil(raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	return raw
}

func (c *console) runLogin(rest string) error {
	cl, err := c.needClient()
	if err != nil {
		return err
	}
	err = untilPrinted[client.AuthenticateEvent](c, cl, func() error {
		_, err := c.call(rest, (*client.Client).Login)
		return err
	})
	if err != nil {
		return err
	}
	return c.runToken("")
}

func (c *console) runLogout(rest string) error {
	cl, err := c.needClient()
	if err := errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	return cl.Deauthenticate(c.now)
}

func (c *console) runToken(rest string) error {
	cl, err := c.needClient()
	if err != nil {
		return err
	}
	what, rest, err := word(rest)
	if err != nil {
		return err
	}
	switch what {
	case "set":
		if rest == "" {
			return usage("the token is missing")
		}
		if err := cl.Authenticate(c.now, rest); err != nil {
			return err
		}
	case "store":
		c.print.text(c.o.Store)
		return noMore(rest)
	case "show":
		c.print.text(cl.SignedAuthToken())
		return noMore(rest)
	case "":
	default:
		return usage("token %s is not known: token, token show, token set TOKEN, token store", what)
	}
	c.print.line(cl.AuthState().String()+" "+printable.Text(string(claims(cl.AuthToken()))), output{Type: "token", Name: cl.AuthState().String(), Data: claims(cl.AuthToken())})
	return nil
}

func (c *console) runInvoke(rest string) error {
	answer, err := c.call(rest, (*client.Client).Invoke)
	if err != nil {
		return err
	}
	c.print.answer(answer)
	return nil
}

// send sends something by name.
func (c *console) sendNamed(what, rest string, send func(cl *client.Client, ctx context.Context, name string, data any) error) error {
	cl, err := c.needClient()
	if err != nil {
		return err
	}
	name, rest, err := named(what, rest)
	if err != nil {
		return err
	}
	raw, err := data(rest)
	if err != nil {
		return err
	}
	return send(cl, c.now, name, orNil(raw))
}

func (c *console) runTransmit(rest string) error {
	return c.sendNamed("the event", rest, (*client.Client).Transmit)
}

func (c *console) runPublish(rest string) error {
	return c.sendNamed("the channel", rest, (*client.Client).Publish)
}

func (c *console) runTransmitPublish(rest string) error {
	return c.sendNamed("the channel", rest, (*client.Client).TransmitPublish)
}

func (c *console) runAnswer(rest string) error {
	procedure, rest, err := named("the procedure", rest)
	if err != nil {
		return err
	}
	raw, err := data(rest)
	if err != nil {
		return err
	}
	c.record.setAnswer(procedure, raw)
	return nil
}

func (c *console) runSubscribe(rest string) error {
	cl, err := c.needClient()
	if err != nil {
		return err
	}
	channel, rest, err := named("the channel", rest)
	if err != nil {
		return err
	}
	opts, waits, err := subscribeOptions(rest)
	if err != nil {
		return err
	}
	if old := c.subs[channel]; old != nil {
		old.Close()
	}
	sub, err := cl.Subscribe(c.ctx, channel, append(opts, client.PendingOK())...)
	if err == nil && !waits { // which may last until a later line
		err = sub.Wait(c.now)
	}
	if err != nil {
		return err
	}
	c.subs[channel] = sub
	go func() {
		for raw := range sub.All() {
			c.note(happening{"publish", channel, raw})
		}
	}()
	return nil
}

// subscribeOptions reads the options of a subscription: words, and then its data.
func subscribeOptions(rest string) (opts []client.SubscribeOption, waits bool, err error) {
	for {
		option, after, _ := strings.Cut(rest, " ")
		number, isLast := strings.CutPrefix(option, "last=")
		switch {
		case option == "wait-for-auth":
			waits = true
			opts = append(opts, client.WaitForAuth())
		case isLast:
			n, err := strconv.Atoi(number)
			if err != nil || n < 0 {
				return nil, false, usage("%q is not a number of publications, such as 10", number)
			}
			opts = append(opts, client.Last(n))
		default:
			raw, err := data(rest)
			if raw != nil {
				opts = append(opts, client.Data(raw))
			}
			return opts, waits, err
		}
		rest = strings.TrimSpace(after)
	}
}

func (c *console) runUnsubscribe(rest string) error {
	cl, err := c.needClient()
	if err != nil {
		return err
	}
	channel, rest, err := named("the channel", rest)
	if err := errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	cl.Unsubscribe(channel)
	delete(c.subs, channel)
	return nil
}

func (c *console) runSend(rest string) error {
	cl, err := c.needClient()
	if err != nil {
		return err
	}
	return cl.Send(c.now, rest)
}

// channelsOf returns the channels of a client, subscribed or not yet.
func channelsOf(cl *client.Client) []string {
	return slices.AppendSeq(slices.Collect(cl.Subscriptions()), cl.PendingSubscriptions())
}

func (c *console) runState(rest string) error {
	cl, err := c.needClient()
	if err := errors.Join(err, noMore(rest)); err != nil {
		return err
	}
	channels := []string{}
	for _, name := range channelsOf(cl) {
		channels = append(channels, fmt.Sprintf("%s (%v)", name, cl.ChannelState(name)))
	}
	slices.Sort(channels)
	state := struct {
		State         string          `json:"state"`
		URL           string          `json:"url"`
		ID            string          `json:"id"`
		AuthState     string          `json:"authState"`
		AuthToken     json.RawMessage `json:"authToken"`
		Subscriptions []string        `json:"subscriptions"`
	}{cl.State().String(), cl.URL(), cl.ID(), cl.AuthState().String(), claims(cl.AuthToken()), channels}
	encoded, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	c.print.line(printable.Text(string(encoded)), output{Type: "state", Data: encoded})
	return nil
}

func (c *console) runWait(rest string) error {
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return usage("%q is not a duration, such as 500ms or 2s", rest)
	}
	select {
	case <-time.After(d):
		return nil
	case <-c.now.Done():
		return c.now.Err()
	}
}

func (c *console) runEcho(rest string) error {
	c.print.text(rest)
	return nil
}

func (c *console) runQuit(rest string) error {
	if err := noMore(rest); err != nil {
		return err
	}
	return errQuit
}

func (c *console) runHelp(rest string) error {
	if rest == "expect" {
		c.print.text(expectHelp)
		return nil
	}
	found := false
	var b strings.Builder
	for _, cmd := range commands() {
		if rest == "" || rest == cmd.name {
			found = true
			fmt.Fprintf(&b, "%-51s%s\n", strings.TrimSpace(cmd.name+" "+cmd.args), cmd.help)
		}
	}
	if !found {
		return usage("there is no command %q%s", rest, nearest(rest))
	}
	c.print.text(b.String())
	return nil
}
