// Command app is a complete program to start from: copy the folder, and change
// what you need. It needs only Go.
//
//	go run ./app adduser alice staff      # and type a password; staff is a room
//	export AUTH_KEY=$(openssl rand -hex 32)
//	go run ./app serve
//
// It serves http://localhost:8000/, a page with a login and rooms. The comments
// in nginx.conf show how to start it behind nginx, with TLS.
//
// Continue with app.go: it has the rules for clients, and the login and logout.
// Users and revocations are in users.go and revocations.go; both use one
// database file.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	// The first signal begins the shutdown; the second one ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

// run runs the subcommand that the arguments name.
func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			return serve(ctx, args[1:], stdout)
		case "adduser":
			return addUser(ctx, args[1:], stdin)
		}
	}
	return errors.New("the first argument must be serve or adduser; each has -help")
}

// addUser adds a user, or gives one a new password and other rooms. It reads
// the password from the standard input, so that no shell history and no list of
// processes contains it.
func addUser(ctx context.Context, args []string, stdin io.Reader) error {
	flags := flag.NewFlagSet("adduser [flags] name [room...]", flag.ContinueOnError)
	file := flags.String("db", "app.db", "`file` of the database")
	if err := flags.Parse(args); err != nil {
		return ignoreHelp(err)
	}
	if flags.NArg() == 0 {
		return errors.New("adduser needs a name; the arguments are a name and rooms")
	}
	line := bufio.NewScanner(stdin)
	line.Scan() // without a line, the password is empty, and refused
	db, err := openDatabase(ctx, *file)
	if err != nil {
		return err
	}
	defer db.Close()
	return (&users{db: db}).set(ctx, flags.Arg(0), line.Text(), flags.Args()[1:])
}

// settings are the settings of the program.
type settings struct {
	key       string        // signs tokens
	tokenLife time.Duration // renewed at half of it
	origins   []string      // of the pages that may connect
	proxies   []string      // whose X-Forwarded-For is believed
}

// serve serves until ctx ends.
func serve(ctx context.Context, args []string, stdout io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8000", "listen on this `address`")
	file := flags.String("db", "app.db", "`file` of the database")
	flags.DurationVar(&s.tokenLife, "token-life", 30*time.Minute, "how long a client that is away stays logged in")
	flags.Func("origins", "`origins` of the pages that may connect, such as https://app.example.com; all if empty", list(&s.origins))
	flags.Func("proxies", "`addresses` of your proxies, such as 127.0.0.1,::1", list(&s.proxies))
	if err := flags.Parse(args); err != nil {
		return ignoreHelp(err)
	}
	if s.key = os.Getenv("AUTH_KEY"); s.key == "" {
		return errors.New("set AUTH_KEY to the output of openssl rand -hex 32, the same for each start: with another key, everybody has to log in again")
	}

	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	db, err := openDatabase(ctx, *file)
	if err != nil {
		return err
	}
	defer db.Close()
	revocations, err := openRevocations(ctx, db)
	if err != nil {
		return err
	}
	a, err := newApp(s, &users{db: db}, revocations, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return errors.Join(err, a.sockets.Close())
	}
	fmt.Fprintln(stdout, "listening on", listener.Addr())
	web := &http.Server{
		Handler: a.handler(),
		// These timeouts are for requests. They do not apply to sockets.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	// When ctx ends, clients are asked to connect again, which brings them to
	// the next process at this address, and requests are finished. Clients that
	// have not left after Config.Timeouts.Shutdown, 8 seconds, are dropped.
	return a.sockets.Serve(ctx, web, listener)
}

// list parses a list that is separated by commas.
func list(into *[]string) func(string) error {
	return func(text string) error {
		*into = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	}
}

// ignoreHelp returns no error if help was requested.
func ignoreHelp(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}
