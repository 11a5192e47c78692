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

	"github.com/spf13/cobra"

	"github.com/socketcluster-go/socketcluster/auth"
)

// maxToken is the longest text of a token or of claims, in bytes. By default
// servers accept only much shorter tokens.
const maxToken = 256 << 10

// tokenCommand signs or verifies a token.
func tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "token", Short: "Signs and verifies tokens",
		ValidArgs: []string{"sign", "verify"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), // a typo, or nothing
		Run:       func(*cobra.Command, []string) {},
	}
	c.AddCommand(signCommand(), verifyCommand())
	return c
}

func signCommand() *cobra.Command {
	var common settings
	var life time.Duration
	c := &cobra.Command{
		Use: "sign", Short: "Prints a token with the claims on the standard input, a JSON object",
		Long:              "Prints a token with the claims on the standard input, a JSON object.\n\n" + settingsHelp,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			err := common.load(c.Flags())
			if err == nil {
				err = sign(c, &common, life)
			}
			return withStatus(err, 2)
		},
	}
	f := newFlags("Flags")
	common.defineConfig(f)
	common.defineKeyFile(f)
	f.DurationVar(&life, expirySetting, defaultTokenExpiry, "time that the token lives, unless the claims have exp")
	addFlags(c, f)
	return c
}

func sign(c *cobra.Command, common *settings, life time.Duration) error {
	engine, closeKeys, err := common.engine(auth.Options{DefaultExpiry: life, MaxTokenSize: maxToken}, noLog())
	if err != nil {
		return err
	}
	defer closeKeys()
	claims, err := readInput(c.Context(), c.InOrStdin(), maxToken)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(claims)) == 0 {
		return errors.New("the standard input contains no claims")
	}
	token, err := engine.Sign(c.Context(), json.RawMessage(claims))
	if err != nil {
		return fmt.Errorf("the claims cannot be signed: %w", err)
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), token.Signed())
	return err
}

func verifyCommand() *cobra.Command {
	var in tokenInput
	c := &cobra.Command{
		Use: "verify", Short: "Prints the claims of the token on the standard input",
		Long: "Prints the claims of the token on the standard input. The exit status is 0 if the token is good,\n" +
			"1 if it is refused, and 2 if there is no result.\n\n" + settingsHelp,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				// Other processes can see arguments, and shells keep them: this one is
				// not shown again.
				return errors.New("unexpected argument; the token is read from the standard input or from --token-file")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			err := in.load(c.Flags())
			if err == nil {
				err = printClaims(c, &in)
			}
			return withStatus(err, 2)
		},
	}
	f := newFlags("Flags")
	in.define(f)
	addFlags(c, f)
	return c
}

func printClaims(c *cobra.Command, in *tokenInput) error {
	token, standing, err := in.read(c.Context(), c.InOrStdin())
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, token.Payload(), "", "  "); err != nil {
		return err
	}
	fmt.Fprintln(c.ErrOrStderr(), standing)
	_, err = fmt.Fprintln(c.OutOrStdout(), text.String())
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

// stdin is what errors call the standard input.
const stdin = "the standard input"

// readInput reads the standard input until its end, or that of ctx. A read that goes on
// then stays until the end of the process.
func readInput(ctx context.Context, in io.Reader, limit int64) (text []byte, err error) {
	done := make(chan struct{})
	var all []byte
	var failed error
	go func() {
		defer close(done)
		all, failed = readAll(in, stdin, limit)
	}()
	select {
	case <-done:
		return all, failed
	case <-ctx.Done():
		return nil, endedBySignal(ctx, "the read of "+stdin)
	}
}

// noLog is for commands that end before a key can change.
func noLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
