package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/cmd/socketcluster/console"
)

// clientCommand is a client in a terminal, or for scripts.
func clientCommand() *cobra.Command {
	var n connection
	var file, store string
	var asJSON, noColor bool
	var within time.Duration
	c := &cobra.Command{
		Use: "client [URL]", Short: "Connects to a server, from a terminal or by a script",
		Long: `Connects to a server. In a terminal it reads commands, with completion and a
history; help lists them. Otherwise it runs the commands of a file or of the
standard input, one a line, and ends with the status 1 at the first one that
fails. Lines with expect test what the server does. Ctrl-C ends a script with
the status 130.`,
		Example: `  socketcluster client ws://localhost:8000
  echo 'invoke echo {"a": 1}' | socketcluster client ws://localhost:8000
  socketcluster client --file login.sc`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			options, err := n.options()
			if err != nil {
				return err
			}
			if within <= 0 {
				return errors.New("--within must be more than 0")
			}
			o := console.Options{Client: options, In: c.InOrStdin(), Out: c.OutOrStdout(), JSON: asJSON, Within: within, Store: "in memory: the token ends with this command; --token-store keeps it"}
			if len(args) == 1 {
				o.URL = args[0]
			}
			if store != "" {
				o.Client.TokenStore = client.NewFileStore(store)
				o.Store = store
			}
			return runConsole(c.Context(), o, file, noColor)
		},
	}
	f := newFlags("Flags")
	f.StringVar(&file, "file", "", "file of commands")
	f.StringVar(&store, "token-store", "", "file that keeps the token of a login, readable only by you")
	f.DurationVar(&within, "within", 5*time.Second, "time for which lines with expect wait")
	f.BoolVar(&asJSON, "json", false, "prints a JSON object a line")
	f.BoolVar(&noColor, "no-color", os.Getenv("NO_COLOR") != "", "prints without colours; so does the variable NO_COLOR")
	addFlags(c, f, n.define())
	return c
}

// runConsole runs a console in the terminal, or a script.
func runConsole(ctx context.Context, o console.Options, file string, noColor bool) error {
	in, isFile := o.In.(*os.File)
	out, _ := o.Out.(*os.File)
	shown := out != nil && term.IsTerminal(int(out.Fd()))
	o.Color = shown && !noColor && !o.JSON
	if file == "" && isFile && shown && term.IsTerminal(int(in.Fd())) {
		// An interrupt ends a command of the console, and not the console.
		ctx, stop := withSignals(context.WithoutCancel(ctx), syscall.SIGTERM)
		defer stop()
		return ended(ctx, "the terminal", console.Interact(ctx, o, in, out, historyFile()))
	}
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return withStatus(err, 2)
		}
		defer f.Close()
		o.In, o.File = f, file
	}
	return ended(ctx, "the script", console.Run(ctx, o))
}

// ended gives the error of a console its status.
func ended(ctx context.Context, what string, err error) error {
	switch {
	case errors.Is(err, console.ErrFailed):
		return statusError{errDenied, 1} // it has been printed
	case err != nil && ctx.Err() != nil:
		return endedBySignal(ctx, what)
	}
	return withStatus(err, 2)
}

// historyFile returns the file of the history of the terminal, or "" if there is
// no place for it.
func historyFile() string {
	folder := os.Getenv("XDG_STATE_HOME")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		folder = filepath.Join(home, ".local", "state")
	}
	folder = filepath.Join(folder, "socketcluster")
	if os.MkdirAll(folder, 0o700) != nil {
		return ""
	}
	return filepath.Join(folder, "history")
}
