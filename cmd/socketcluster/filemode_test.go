package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/logtest"
)

// A file with a key or with hashes that others can read is named in the log, with
// its mode; one with a public key, or one that is private, is not.
func TestOpenFilesAreTold(t *testing.T) {
	clearSettings(t)
	key := writeFile(t, "auth.key", strings.Repeat("k", 32))
	private, _ := keyPairPEM(t)
	pem := writeFile(t, "key.pem", private)
	db := filepath.Join(t.TempDir(), "users.db")
	for _, c := range []struct {
		args string
		open map[string]os.FileMode
		want []string
	}{
		{args: "--auth-key-file=" + key + " --db=" + db},
		{"--auth-key-file=" + key, map[string]os.FileMode{key: 0o644}, []string{key, "-rw-r--r--"}},
		{"--auth-key-file=" + key, map[string]os.FileMode{key: 0o440}, nil},
		{"--auth-key-file=" + pem, map[string]os.FileMode{pem: 0o604}, []string{pem, "-rw----r--"}},
		{"--db=" + db, map[string]os.FileMode{db: 0o666}, []string{db, "-rw-rw-rw-"}},
	} {
		for path, mode := range c.open {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		o, err := parseOptions(strings.Fields(c.args))
		if err != nil {
			t.Fatal(err)
		}
		var log logtest.Buffer
		d, err := newDemo(context.Background(), o, log.Logger())
		if err != nil {
			t.Fatal(err)
		}
		d.sockets.Close()
		d.close()
		text := log.Take()
		if n := strings.Count(text, "others can read or change"); n != min(len(c.want), 1) {
			t.Errorf("%s: logged %s", c.args, text)
		}
		for _, part := range c.want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %s is not in the log: %s", c.args, part, text)
			}
		}
	}
}
