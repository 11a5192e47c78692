package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
)

// maxToken is the longest text of a token or of claims, in bytes. By default
// servers accept only much shorter tokens.
const maxToken = 256 << 10

// runToken signs or verifies a token.
func runToken(ctx context.Context, args []string, s streams) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "sign":
		return answer(runSign(ctx, args, s))
	case "verify":
		return answer(runVerify(ctx, args, s))
	}
	fmt.Fprintln(s.err, "Usage of socketcluster token:\n"+
		"  socketcluster token sign [flags]     prints a token with the claims on the standard input, a JSON object\n"+
		"  socketcluster token verify [flags]   prints the claims of the token on the standard input")
	return usageError{fmt.Errorf("unknown command: %q", "token "+name)}
}

func runSign(ctx context.Context, args []string, s streams) error {
	var common settings
	var life time.Duration
	f := newFlags("token sign", " <claims.json", s.err)
	common.define(f)
	durationVar(f, &life, expirySetting, defaultTokenExpiry, time.Second, "life of the token, a `time` such as 5m, unless the claims have exp")
	if err := common.parse(f, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return badUsage(f, fmt.Errorf("unexpected argument: %q", f.Arg(0)))
	}
	engine, closeKeys, err := common.engine(auth.Options{DefaultExpiry: life, MaxTokenSize: maxToken}, noLog())
	if err != nil {
		return err
	}
	defer closeKeys()
	claims, err := readAll(s.in, "the standard input", maxToken)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(claims)) == 0 {
		return errors.New("the standard input contains no claims")
	}
	token, err := engine.Sign(ctx, json.RawMessage(claims))
	if err != nil {
		return fmt.Errorf("the claims cannot be signed: %w", err)
	}
	_, err = fmt.Fprintln(s.out, token.Signed())
	return err
}

func runVerify(ctx context.Context, args []string, s streams) error {
	var in tokenInput
	f := newFlags("token verify", " <token.txt", s.err)
	in.define(f)
	if err := in.parse(f, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		// Other processes can see arguments, and shells keep them.
		return badUsage(f, errors.New("unexpected argument; the token is read from the standard input or from -token-file"))
	}
	token, standing, err := in.read(ctx, s.in)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, token.Payload(), "", "  "); err != nil {
		return err
	}
	fmt.Fprintln(s.err, standing)
	_, err = fmt.Fprintln(s.out, text.String())
	return err
}

// readAll reads a stream that should be short.
func readAll(r io.Reader, from string, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", from, limit)
	}
	return text, nil
}

// noLog is for commands that end before a key can change.
func noLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
