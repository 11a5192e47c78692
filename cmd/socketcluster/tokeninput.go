package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/wire"
)

// tokenInput are the settings of commands that read a token.
type tokenInput struct {
	settings
	tokenFile  string
	unverified bool
}

func (in *tokenInput) define(f flagGroup) {
	in.defineConfig(f)
	in.defineKeyFile(f)
	f.StringVar(&in.tokenFile, "token-file", "", "`file` with the token; the standard input if empty")
	f.BoolVar(&in.unverified, "unverified", false, "accept the token without checking its signature")
}

// read reads a token, and verifies it unless --unverified is set. standing
// describes how far the token can be trusted.
func (in *tokenInput) read(ctx context.Context, input io.Reader) (token *auth.Token, standing string, err error) {
	if in.unverified {
		signed, err := in.readToken(ctx, input)
		if err != nil {
			return nil, "", err
		}
		token, err = decode(signed)
		if err != nil {
			return nil, "", err
		}
		return token, "NOT VERIFIED: anybody may have written this token. It says that it " + until(token) + ".", nil
	}
	engine, closeKeys, err := in.engine(auth.Options{MaxTokenSize: maxToken}, noLog())
	if err != nil {
		return nil, "", err
	}
	defer closeKeys()
	signed, err := in.readToken(ctx, input)
	if err != nil {
		return nil, "", err
	}
	if token, err = verify(ctx, engine, signed); err != nil {
		return nil, "", err
	}
	return token, "The token is good. It " + until(token) + ".", nil
}

// until describes when a token expires.
func until(token *auth.Token) string {
	if end, ok := token.ExpiresAt(); ok {
		return "expires at " + end.UTC().Format(time.RFC3339)
	}
	return "does not expire"
}

// readToken reads the text of a token. It is never an argument, because others
// can see arguments in the list of processes, and shells keep them.
func (in *tokenInput) readToken(ctx context.Context, input io.Reader) (string, error) {
	var text []byte
	var err error
	from := stdin
	if in.tokenFile != "" {
		from = in.tokenFile
		text, err = readLimited(from, maxToken)
	} else {
		text, err = readInput(ctx, input, maxToken)
	}
	if err != nil {
		return "", err
	}
	signed := string(bytes.TrimSpace(text))
	if signed == "" {
		return "", fmt.Errorf("there is no token in %s", from)
	}
	return signed, nil
}

// verify checks a token as a server does.
func verify(ctx context.Context, engine auth.Engine, signed string) (*auth.Token, error) {
	token, err := engine.Verify(ctx, signed)
	if errors.Is(err, auth.ErrKeysUnavailable) {
		// The keys have just been read.
		return nil, statusError{errors.New("the token is refused: it names a key that is not in the file"), 1}
	}
	if e, ok := errors.AsType[*wire.Error](err); ok && (e.Name == wire.NameAuthTokenInvalid ||
		e.Name == wire.NameAuthTokenExpired || e.Name == wire.NameAuthTokenNotBefore) {
		value, _ := e.Field("expiry")
		if expiry, ok := value.(time.Time); ok {
			return nil, statusError{fmt.Errorf("the token is refused: %w (at %s)", err, expiry.Format(time.RFC3339)), 1}
		}
		return nil, statusError{fmt.Errorf("the token is refused: %w", err), 1}
	}
	return token, err
}

// decode reads the claims of a token without verifying anything.
func decode(signed string) (*auth.Token, error) {
	parts := strings.Split(signed, ".")
	if len(parts) != 3 {
		return nil, statusError{errors.New("this is not a token: it does not have three parts separated by dots"), 1}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, statusError{fmt.Errorf("this is not a token: its payload cannot be decoded: %w", err), 1}
	}
	token, err := auth.NewToken(signed, payload)
	if err != nil {
		return nil, statusError{fmt.Errorf("this is not a token: %w", err), 1}
	}
	return token, nil
}
