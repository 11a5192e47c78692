package auth_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/logtest"
)

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// watch makes a watcher that is closed with the bubble of the test.
func watch(t *testing.T, o auth.FileOptions) *auth.KeyFiles {
	t.Helper()
	files, err := auth.WatchKeyFiles(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(files.Close)
	return files
}

// tick lets the watcher look once more.
func tick() {
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

// A file with a key that signs and that is open to others is logged, once for each
// mode, and used nevertheless, as Kubernetes mounts it so. One with a public key may
// be open.
func TestKeyFilesTellOfOpenFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		dir := t.TempDir()
		private, public := filepath.Join(dir, "private.pem"), filepath.Join(dir, "public.pem")
		write(t, private, ecPEM(256))
		write(t, public, publicPEM(&rsaKey().PublicKey))
		mode := func(path string, mode os.FileMode) {
			t.Helper()
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		mode(private, 0o644)
		mode(public, 0o666)
		files := watch(t, auth.FileOptions{Paths: []string{public, private}, Logger: log.Logger()})
		sign(t, newJWT(t, auth.Options{Keys: files}), `{}`)
		logged := func(want ...string) {
			t.Helper()
			text := log.Take()
			for _, part := range want {
				if !strings.Contains(text, part) {
					t.Errorf("%s is not in the log: %s", part, text)
				}
			}
			if n := strings.Count(text, "others can read or change"); n != min(len(want), 1) {
				t.Errorf("logged %s", text)
			}
		}
		logged("level=WARN", "file="+private, "mode=-rw-r--r--")
		tick()
		logged()
		for _, m := range []os.FileMode{0o600, 0o440, 0o640, 0o400} {
			mode(private, m)
			tick()
			logged()
		}
		mode(private, 0o660)
		tick()
		logged("file="+private, "mode=-rw-rw----")
		mode(private, 0o600)
		write(t, public, ecPEM(384)) // is not public any more
		tick()
		logged("file="+public, "mode=-rw-rw-rw-")
	})
}

// AUTH-9: a rotation by files: the new key in front, then the old one taken out.
func TestKeyFilesRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		dir := t.TempDir()
		current, previous := filepath.Join(dir, "current.pem"), filepath.Join(dir, "previous.pem")
		oldKey, newKey := ecPEM(256), privatePEM(otherEC())
		write(t, current, oldKey)
		write(t, previous, oldKey) // the same key twice is one key
		files := watch(t, auth.FileOptions{Paths: []string{current, previous}, Logger: log.Logger()})
		j := newJWT(t, auth.Options{Keys: files})
		old := sign(t, j, `{}`)
		if want := parsePEM(t, oldKey).Thumbprint(); old.KeyID() != want {
			t.Errorf("signed with %q, want %q", old.KeyID(), want)
		}
		accept(t, j, old.Signed())
		tick()
		if text := log.Take(); text != "" {
			t.Errorf("nothing has changed, and yet: %s", text)
		}

		write(t, current, newKey)
		tick()
		fresh := sign(t, j, `{}`)
		if want := parsePEM(t, newKey).Thumbprint(); fresh.KeyID() != want {
			t.Errorf("signed with %q, want %q", fresh.KeyID(), want)
		}
		accept(t, j, old.Signed())
		accept(t, j, fresh.Signed())
		if text := log.Take(); !strings.Contains(text, "keys reloaded") || !strings.Contains(text, "keys=2") {
			t.Errorf("logged %s", text)
		}

		write(t, previous, newKey)
		tick()
		refuse(t, j, old.Signed(), unavailable) // the files were read this second
		time.Sleep(time.Second)
		refuse(t, j, old.Signed(), invalid("unknown kid"))
		accept(t, j, fresh.Signed())
	})
}

// Files that are unfit change nothing, and are logged once.
func TestKeyFilesKeepLastGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		path := filepath.Join(t.TempDir(), "keys.json")
		set := func(jwks ...string) []byte { return []byte(`{"keys":[` + strings.Join(jwks, ",") + `]}`) }
		good := jwkOf(t, testKey, map[string]any{"kid": "good"})
		write(t, path, set(good))
		files := watch(t, auth.FileOptions{Paths: []string{path}, Logger: log.Logger()})
		j := newJWT(t, auth.Options{Keys: files})
		tok := sign(t, j, `{"exp":4000000000}`)
		if tok.KeyID() != "good" {
			t.Errorf("signed with %q", tok.KeyID())
		}
		unknown := sign(t, ringJWT(t, hmacKey("unknown")), `{"exp":4000000000}`)

		for _, c := range []struct {
			name, want string
			change     func()
		}{
			{"gone", "no such file", func() { os.Remove(path) }},
			{"a folder", "not a regular file", func() { os.Mkdir(path, 0o700) }},
			{"empty", "no key found", func() { write(t, path, nil) }},
			{"cut off", "not one JSON object", func() { write(t, path, set(good)[:20]) }},
			{"an empty set", "no key for signatures", func() { write(t, path, set()) }},
			{"QK-20 a weak key beside a good one", "has 16 bytes, at least 32", func() { write(t, path, set(good, jwkOf(t, "correct horse ba", map[string]any{"kid": "weak"}))) }},
			{"a kid twice", "occurs twice", func() { write(t, path, set(good, jwkOf(t, ecKey(256), map[string]any{"kid": "good"}))) }},
			{"too large", "more than 1048576 bytes", func() { write(t, path, bytes.Repeat([]byte(" "), 1<<20+1)) }},
		} {
			c.change()
			tick()
			text := log.Take()
			if !strings.Contains(text, c.want) || strings.Count(text, "level=ERROR") != 1 {
				t.Errorf("%s: logged %s", c.name, text)
			}
			if strings.Contains(text, b64("correct horse ba")) || strings.Contains(text, b64(testKey)) {
				t.Errorf("%s: a key is in the log: %s", c.name, text)
			}
			tick()
			if text := log.Take(); text != "" {
				t.Errorf("%s: logged again: %s", c.name, text)
			}
			accept(t, j, tok.Signed())
			time.Sleep(time.Second)
			refuse(t, j, unknown.Signed(), unavailable) // its key may be in what cannot be read
			if c.name == "a folder" {
				os.Remove(path)
			}
			log.Take()
		}

		write(t, path, set(good))
		tick()
		if text := log.Take(); !strings.Contains(text, "keys reloaded") {
			t.Errorf("logged %s", text)
		}
		time.Sleep(time.Second)
		refuse(t, j, unknown.Signed(), invalid("unknown kid"))

		// The same file again, after it was away, is as good as before.
		os.Remove(path)
		tick()
		write(t, path, set(good))
		tick()
		time.Sleep(2 * time.Second) // whenever the last look was, another is possible
		refuse(t, j, unknown.Signed(), invalid("unknown kid"))
	})
}

// A token of a server that has seen the new key already makes this one look, once
// a second at most.
func TestKeyFilesRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "key.json")
		jwk := func(id string) []byte { return []byte(jwkOf(t, testKey+id, map[string]any{"kid": id})) }
		write(t, path, jwk("1"))
		files := watch(t, auth.FileOptions{Paths: []string{path}, Interval: time.Hour, Logger: new(logtest.Buffer).Logger()})
		j := newJWT(t, auth.Options{Keys: files})
		token := func(id string) string { return sign(t, ringJWT(t, hmacKey(id)), `{"exp":4000000000}`).Signed() }

		write(t, path, jwk("2"))
		refuse(t, j, token("2"), unavailable)
		time.Sleep(time.Second)
		accept(t, j, token("2"))
		write(t, path, jwk("3"))
		refuse(t, j, token("3"), unavailable)
		accept(t, j, token("2"))
		time.Sleep(time.Second)
		accept(t, j, token("3"))
		// Closed, it follows no longer by itself.
		files.Close()
		files.Close()
		write(t, path, jwk("4"))
		time.Sleep(2 * time.Hour)
		if id := sign(t, j, `{}`).KeyID(); id != "3" {
			t.Errorf("signed with %q", id)
		}
	})
}

func TestWatchKeyFilesRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	write(t, path, privatePEM(smallRSA()))
	for name, c := range map[string]struct {
		o             auth.FileOptions
		field, reason string
	}{
		"no paths":          {auth.FileOptions{}, "Paths", "must not be"},
		"negative interval": {auth.FileOptions{Paths: []string{path}, Interval: -1}, "Interval", "must not be"},
		"no unit":           {auth.FileOptions{Paths: []string{path}, Interval: 10}, "Interval", "nanoseconds"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := auth.WatchKeyFiles(c.o)
			wantOption(t, err, c.field, c.reason)
		})
	}
	t.Run("QK-20 weak", func(t *testing.T) {
		_, err := auth.WatchKeyFiles(auth.FileOptions{Paths: []string{path}})
		if err == nil || !strings.Contains(err.Error(), "1024") || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("missing", func(t *testing.T) {
		_, err := auth.WatchKeyFiles(auth.FileOptions{Paths: []string{path + "x"}})
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}
