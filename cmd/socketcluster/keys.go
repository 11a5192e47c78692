package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/filemode"
)

// maxKeyFile leaves room for any JWK Set.
const maxKeyFile = 1 << 20

// engine makes an engine of the key that is set, which there must be, and of
// options without one. The file of a JWK or of a set of them is watched, so that
// keys can rotate, until closeKeys is called; other files are read once, and
// their tokens need no kid.
func (s *settings) engine(o auth.Options, log *slog.Logger) (engine *auth.JWT, closeKeys func(), err error) {
	closeKeys = func() {}
	if s.authKeyFile == "" {
		if s.authKey == "" {
			return nil, closeKeys, fmt.Errorf("no key is set: give -%s or $%s", authKeyFileSetting, variable(authKeySetting))
		}
		o.Key = s.authKey
		engine, err = auth.NewJWT(o)
		return engine, closeKeys, err
	}
	text, err := readLimited(s.authKeyFile, maxKeyFile)
	if err != nil {
		return nil, closeKeys, err
	}
	switch text = bytes.TrimSpace(text); {
	case len(text) == 0:
		err = errors.New("is empty")
	case text[0] == '{':
		var files *auth.KeyFiles
		if files, err = auth.WatchKeyFiles(auth.FileOptions{Paths: []string{s.authKeyFile}, Logger: log}); err == nil {
			o.Keys, closeKeys = files, files.Close
		}
	case bytes.HasPrefix(text, []byte("-----BEGIN")):
		var key auth.Key
		if key, err = auth.ParsePEM(text); err == nil && key.CanSign() {
			warnIfOpen(s.authKeyFile, log)
			o.SignatureKey = key
		} else {
			o.VerificationKey = key
		}
	default:
		warnIfOpen(s.authKeyFile, log)
		o.Key = string(text)
	}
	if err == nil {
		engine, err = auth.NewJWT(o)
	}
	if err != nil {
		closeKeys()
		return nil, func() {}, fmt.Errorf("%s: %w", s.authKeyFile, err)
	}
	return engine, closeKeys, nil
}

// warnIfOpen tells of a file with secrets that others can read or change.
func warnIfOpen(path string, log *slog.Logger) {
	if info, err := os.Stat(path); err == nil && filemode.Exposed(info.Mode()) {
		log.Warn(filemode.Warning, slog.String("file", path), slog.String("mode", info.Mode().String()))
	}
}

// readLimited reads a file that should not be large.
func readLimited(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(file, path, limit)
}
