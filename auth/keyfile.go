package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/filemode"
	"github.com/socketcluster-go/socketcluster/internal/millis"
)

const (
	// defaultFileInterval makes a rotation take seconds, at the cost of reading
	// some kilobytes.
	defaultFileInterval = 10 * time.Second
	// minFileInterval is the shortest time between two reads of the files that
	// strangers can cause by presenting unknown kids.
	minFileInterval = time.Second
	// maxKeyFile leaves room for a full JWK Set of RSA keys.
	maxKeyFile = 1 << 20
)

// FileOptions configures [WatchKeyFiles].
type FileOptions struct {
	// Paths are files with one key in PEM, or with a JWK or a JWK Set, which
	// begin with a brace. The order matters: the first key that can sign does.
	Paths []string

	// Interval is the time between two checks of the files. 0 means 10 seconds.
	Interval time.Duration

	// Logger receives changes and failures. Default: slog.Default().
	Logger *slog.Logger
}

// KeyFiles is a [KeySource] that follows files: the keys in the files are the
// keys in use. To rotate, put the new key first, and keep the old one until the
// last token under it has expired.
//
// The ID of a key in PEM is its [Key.Thumbprint], so the file can have any
// name, and can be renamed. The ID of a JWK is its kid.
//
// Only the owner or a group should be able to read a file with a key that
// signs, or with a symmetric one. If others can read or change it, its name and
// mode are logged. It is used nevertheless, because Kubernetes mounts secrets
// that way by default.
//
// If a file cannot be read, or contains a key that must be refused, the error
// is logged and the keys stay as they were. No file is accepted in part, so it
// can be replaced in any way, although it is best to rename a complete one onto
// it.
type KeyFiles struct {
	paths []string
	log   *slog.Logger
	ring  atomic.Pointer[KeyRing]
	stop  context.CancelFunc
	done  chan struct{}

	mu      sync.Mutex
	checked time.Time
	sum     [sha256.Size]byte // of the last contents of the files, valid or not
	secret  []bool            // by path: the file holds a key that can sign
	exposed []fs.FileMode     // by path: the mode that has been logged
	err     error             // of the last check; nil: ring has the keys of the files
}

var _ KeySource = (*KeyFiles)(nil)

// WatchKeyFiles reads the files, and checks them at each interval until Close.
func WatchKeyFiles(o FileOptions) (*KeyFiles, error) {
	switch {
	case len(o.Paths) == 0:
		return nil, &OptionError{Field: "Paths", Reason: "must not be empty"}
	case o.Interval < 0:
		return nil, &OptionError{Field: "Interval", Reason: "must not be negative"}
	case o.Interval == 0:
		o.Interval = defaultFileInterval
	}
	if reason := millis.Reason(o.Interval); reason != "" {
		return nil, &OptionError{Field: "Interval", Reason: reason}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &KeyFiles{paths: slices.Clone(o.Paths), log: o.Logger, stop: cancel, done: make(chan struct{}), exposed: make([]fs.FileMode, len(o.Paths))}
	if err := f.look(); err != nil {
		cancel()
		return nil, err
	}
	go f.watch(ctx, o.Interval)
	return f, nil
}

// Close stops checking the files. The keys stay in use.
func (f *KeyFiles) Close() {
	f.stop()
	<-f.done
}

func (f *KeyFiles) watch(ctx context.Context, interval time.Duration) {
	defer close(f.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.mu.Lock()
			f.check()
			f.mu.Unlock()
		}
	}
}

// check reads the files again and logs changes. The caller holds mu.
func (f *KeyFiles) check() {
	before, old := f.err, f.ring.Load()
	err := f.look()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		f.log.Error("key files are not usable, the former keys stay in use", "error", err)
	case err == nil && f.ring.Load() != old:
		f.log.Info("keys reloaded", "keys", len(f.ring.Load().Keys()))
	}
}

// look reads the files and puts their keys to use.
func (f *KeyFiles) look() error {
	f.checked = time.Now()
	texts, modes := make([][]byte, len(f.paths)), make([]fs.FileMode, len(f.paths))
	hash := sha256.New()
	for i, path := range f.paths {
		text, mode, err := readKeyFile(path)
		if err != nil {
			f.sum = [sha256.Size]byte{} // whatever is read next is new
			f.err = fmt.Errorf("auth: key file: %w", err)
			return f.err
		}
		texts[i], modes[i] = text, mode
		fmt.Fprintf(hash, "%d:", len(text))
		hash.Write(text)
	}
	// The contents are compared, as two changes may have one modification time.
	if sum := [sha256.Size]byte(hash.Sum(nil)); sum != f.sum {
		f.sum = sum
		f.err = f.load(texts)
	}
	if f.err == nil {
		f.logExposed(modes)
	}
	return f.err
}

// logExposed logs each file with a secret that others can read or change, once
// for each mode.
func (f *KeyFiles) logExposed(modes []fs.FileMode) {
	for i, mode := range modes {
		if !f.secret[i] || !filemode.Exposed(mode) {
			mode = 0
		}
		if mode != 0 && mode != f.exposed[i] {
			f.log.Warn(filemode.Warning, "file", f.paths[i], "mode", mode.String())
		}
		f.exposed[i] = mode
	}
}

func (f *KeyFiles) load(texts [][]byte) error {
	var all []RingKey
	secret := make([]bool, len(texts))
	for i, text := range texts {
		keys, err := parseKeyFile(text)
		if err != nil {
			return fmt.Errorf("%w (file %s)", err, f.paths[i])
		}
		for _, k := range keys {
			secret[i] = secret[i] || k.Key.CanSign()
			// One key in two files is a rotation that is under way.
			same := func(other RingKey) bool { return other.ID == k.ID && other.Key.equal(k.Key) }
			if !slices.ContainsFunc(all, same) {
				all = append(all, k)
			}
		}
	}
	ring, err := NewKeyRing(all...)
	if err != nil {
		return err
	}
	f.ring.Store(ring)
	f.secret = secret
	return nil
}

func readKeyFile(path string) ([]byte, fs.FileMode, error) {
	// A pipe or a device would block, or never end.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err == nil && len(text) > maxKeyFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxKeyFile)
	}
	return text, info.Mode(), err
}

// parseKeyFile refuses the whole file if one of its keys cannot be used: its
// author should know.
func parseKeyFile(text []byte) ([]RingKey, error) {
	text = bytes.TrimSpace(text)
	if !bytes.HasPrefix(text, []byte("{")) {
		key, err := ParsePEM(text)
		if err != nil {
			return nil, err
		}
		return []RingKey{{ID: key.Thumbprint(), Key: key}}, nil
	}
	if ms, ok := parseObject(text); ok && ms.get("keys") != nil {
		keys, skipped, err := ParseJWKS(text)
		if err = errors.Join(append(skipped, err)...); err != nil {
			return nil, err
		}
		if len(keys) == 0 {
			return nil, errors.New("auth: the JWK Set has no key for signatures")
		}
		return keys, nil
	}
	key, err := ParseJWK(text)
	return []RingKey{key}, err
}

// Signing implements [KeySource].
func (f *KeyFiles) Signing() (RingKey, bool) { return f.ring.Load().Signing() }

// Verification implements [KeySource].
func (f *KeyFiles) Verification(kid string) []RingKey { return f.ring.Load().Verification(kid) }

// Refresh implements [KeySource]: it reads the files at once, unless they have
// been read within the last second. It ignores ctx.
func (f *KeyFiles) Refresh(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.checked) < minFileInterval {
		return errRecent
	}
	f.check()
	return f.err
}

var errRecent = errors.New("auth: the key files have been read within the last second")
