package console

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/printable"
)

// Interact runs the lines that somebody types in a terminal, until ctrl-D, the
// command quit, or the end of ctx, whose error it then returns. Ctrl-C ends the command
// that runs, or the console if none does. history is the file of earlier lines; "" keeps none.
func Interact(ctx context.Context, o Options, in, out *os.File, history string) error {
	lines, unkept := openHistory(history)
	defer lines.close()
	fd := int(in.Fd())
	cooked, err := term.MakeRaw(fd)
	if err != nil {
		return err
	}
	defer func() { _ = term.Restore(fd, cooked) }()
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, "> ")
	t.History = lines
	c := newConsole(ctx, o, t)
	defer c.close()
	var prompting sync.Mutex // the last prompt that is shown is the newest
	c.prompted = func() {
		prompting.Lock()
		defer prompting.Unlock()
		t.SetPrompt(c.prompt())
	}
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		return complete(line, pos, c.candidates(line[:pos]))
	}
	if unkept != nil {
		c.print.failure(unkept) // which is no reason not to work
	}
	// While a command runs, and never else, ctrl-C is a signal.
	command := func(run func() error) (quit bool, err error) {
		quit = c.attempt(func() error {
			_ = term.Restore(fd, cooked)
			defer func() { _, err = term.MakeRaw(fd) }()
			return run()
		})
		return quit, err
	}
	if o.URL != "" {
		if _, err := command(func() error { return c.runConnect(o.URL) }); err != nil {
			return err
		}
	} else {
		c.print.text("connect ws://localhost:8000 connects; help lists the commands")
	}
	for ctx.Err() == nil {
		if width, height, err := term.GetSize(fd); err == nil {
			_ = t.SetSize(width, height) // fails if the window has no room
		}
		c.prompted()
		line, err := readLine(ctx, t)
		if err == io.EOF || ctx.Err() != nil {
			_, _ = io.WriteString(out, "\r\n") // what comes next is not part of the prompt
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if quit, err := command(func() error { return c.run(line) }); quit || err != nil {
			return err
		}
	}
	return ctx.Err()
}

// attempt runs a command, which an interrupt ends, and prints its error.
func (c *console) attempt(run func() error) (quit bool) {
	ctx, stop := signal.NotifyContext(c.ctx, os.Interrupt)
	c.now = ctx
	err := run()
	switch {
	case c.ctx.Err() != nil:
		err = nil // the console ends
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	stop()
	c.now = c.ctx
	if err == errQuit {
		return true
	}
	if err != nil {
		c.print.failure(err)
		c.failure = err // for expect error
	} else {
		c.failure = nil
	}
	return false
}

// readLine is Terminal.ReadLine until the end of ctx. Its goroutine then stays until
// the next key, or the end of the process.
func readLine(ctx context.Context, t *term.Terminal) (line string, err error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := t.ReadLine()
		if errors.Is(err, term.ErrPasteIndicator) {
			err = nil
		}
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// prompt shows the connection and the login.
func (c *console) prompt() string {
	cl := c.current.Load()
	if cl == nil {
		return "> "
	}
	mark := c.print.paint(green, "●")
	if cl.State() != socketcluster.Open {
		mark = c.print.paint(red, "○")
	}
	who := ""
	if token := cl.AuthToken(); token != nil {
		for _, claim := range []string{"username", "sub"} {
			if name, ok := token.Claim(claim); ok && who == "" {
				who, _ = name.(string)
			}
		}
	} else if cl.AuthState() == socketcluster.Authenticated {
		who = "authenticated"
	}
	if who != "" {
		who = " " + strings.ReplaceAll(printable.Text(who), "\n", " ")
	}
	return mark + who + "> "
}

// candidates returns the words that may follow a beginning of a line, which ends with a
// part of the word.
func (c *console) candidates(line string) (all []string) {
	words := strings.Fields(line)
	if len(words) == 0 || len(words) == 1 && !strings.HasSuffix(line, " ") {
		for _, cmd := range commands() {
			all = append(all, cmd.name)
		}
		return all
	}
	if len(words) > 2 || len(words) == 2 && strings.HasSuffix(line, " ") && words[0] != "expect" {
		return nil
	}
	switch words[0] {
	case "help":
		return c.candidates("")
	case "token":
		return []string{"show", "set", "store"}
	case "expect":
		return []string{"answer", "error", "publish", "transmit", "call", "event", "close", "no"}
	case "unsubscribe", "publish", "transmit-publish":
		if c.client != nil {
			all = channelsOf(c.client)
		}
	}
	slices.Sort(all)
	return all
}

// complete completes the word before pos by what all candidates have in common.
func complete(line string, pos int, candidates []string) (newLine string, newPos int, ok bool) {
	begin := strings.LastIndex(line[:pos], " ") + 1
	part := line[begin:pos]
	common, count := "", 0
	for _, word := range candidates {
		if !strings.HasPrefix(word, part) {
			continue
		}
		if count++; count == 1 {
			common = word
			continue
		}
		for !strings.HasPrefix(word, common) {
			common = common[:len(common)-1]
		}
	}
	switch count {
	case 0:
		return "", 0, false
	case 1:
		common += " "
	}
	return line[:begin] + common + strings.TrimPrefix(line[pos:], " "), begin + len(common), true
}
