package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/socketcluster-go/socketcluster/wire"
)

// maxLine is the length of the longest line that is read: far more than any
// message of the suites.
const maxLine = 64 << 20

func main() {
	verbose := flag.Bool("v", false, "write the server's log to standard error")
	flag.Parse()
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if err := run(os.Stdin, os.Stdout, log); err != nil {
		fmt.Fprintln(os.Stderr, "bridgehost:", err)
		os.Exit(1)
	}
}

// run serves the bridge until its input ends.
func run(in io.Reader, out io.Writer, log *slog.Logger) error {
	h := newHost(out, log)
	defer h.close()
	h.out.put(func() any {
		return helloLine{T: "hello", Protocol: 1, Host: "socketcluster for Go", Features: []string{"authEngine", "brokerEngine"}}
	})
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		var c command
		err := json.Unmarshal(lines.Bytes(), &c)
		if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType && c.T == "cmd" {
			// The suite passed a value that the interface does not support.
			h.reply(&c, nil, &wire.Error{Name: wire.NameInvalidArguments, Message: err.Error()})
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot read the line %.200q: %w", lines.Bytes(), err)
		}
		switch c.T {
		case "cmd":
			h.perform(&c)
		case "answer":
			h.answered(&c)
		default:
			return fmt.Errorf("the bridge sent a line of unknown type %q", c.T)
		}
	}
	return lines.Err()
}
