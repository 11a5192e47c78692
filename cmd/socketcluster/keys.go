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

var errNoKey = fmt.Errorf("no key is set: use --%s or $%s", authKeyFileSetting, variable(authKeySetting))

// engine makes an engine from the key that is set, and from options without a
// key. It fails if no key is set. A file with a JWK or a JWK Set is watched
// until closeKeys is called, so that keys can rotate. Other files are read
// once, and their tokens need no kid.
func (s *settings) engine(o auth.Options, log *slog.Logger) (engine *auth.JWT, closeKeys func(), err error) {
	closeKeys = func() {}
	if s.authKeyFile == "" {
		if s.authKey == "" {
			return nil, closeKeys, errNoKey
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

// warnIfOpen logs a warning if others can read or change a file with secrets.
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
