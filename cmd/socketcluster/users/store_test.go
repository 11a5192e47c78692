package users

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/socketcluster-go/socketcluster/auth/password"
	"github.com/socketcluster-go/socketcluster/login"
)

// cheap is the cost of hashes where it is not what is tested.
var cheap = password.Params{Memory: 8, Passes: 1}

var alice = User{Username: "alice", Channels: []string{"chat", "user/alice"}}

// open opens a store whose hashes are cheap.
func open(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	s.hasher = &password.Hasher{Params: cheap}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func add(t *testing.T, s *Store, u User, password string) {
	t.Helper()
	if err := s.Add(t.Context(), u, password); err != nil {
		t.Fatal(err)
	}
}

func TestCheck(t *testing.T) {
	s := open(t, "")
	add(t, s, alice, "secret")
	got, err := s.Check(t.Context(), "alice", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(alice, got); diff != "" {
		t.Error(diff)
	}
}

// verifying counts what is verified.
type verifying struct {
	hasher
	hashes []string
}

func (v *verifying) Verify(ctx context.Context, hash, password string) (bool, error) {
	v.hashes = append(v.hashes, hash)
	return v.hasher.Verify(ctx, hash, password)
}

// Whatever is wrong, the words are the same, and one password is verified:
// with the hash of the user, or that of nobody, for which package password does
// the same work.
func TestFailuresAreAlike(t *testing.T) {
	s := open(t, "")
	add(t, s, alice, "secret")
	v := &verifying{hasher: s.hasher}
	s.hasher = v
	_, stored, err := s.find("alice")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"wrong password":     {"alice", "Secret"},
		"no password":        {"alice", ""},
		"unknown user":       {"carol", "secret"},
		"no user":            {"", ""},
		"other accent":       {"alicé", "secret"},
		"trailing zero byte": {"alice\x00", "secret"},
		"always true":        {"' OR '1'='1", "' OR '1'='1"},
		"comment":            {"alice' --", "x"},
		"union":              {"x' UNION SELECT 'alice', 'x', '[]' --", "x"},
		"drop table":         {"'; DROP TABLE users; --", "x"},
		"wildcard":           {"%", "secret"},
		"placeholder":        {"?", "secret"},
		"not UTF-8":          {"\xff\xfe", "\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			v.hashes = nil
			u, err := s.Check(t.Context(), c[0], c[1])
			if err != login.ErrInvalidCredentials {
				t.Errorf("Check(%q, %q) = %v, %v; want ErrInvalidCredentials", c[0], c[1], u, err)
			}
			if diff := cmp.Diff(User{}, u); diff != "" {
				t.Error(diff)
			}
			want := []string{""}
			if c[0] == "alice" {
				want = []string{stored}
			}
			if diff := cmp.Diff(want, v.hashes); diff != "" {
				t.Error(diff)
			}
		})
	}
	if n, err := s.Count(t.Context()); n != 1 || err != nil {
		t.Errorf("Count = %d, %v; want 1", n, err)
	}
	if _, err := s.Check(t.Context(), "alice", "secret"); err != nil {
		t.Errorf("alice can no longer log in: %v", err)
	}
}

// Names with signs that mean something elsewhere are names like others.
func TestStrangeNames(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "users.db"))
	for _, name := range []string{"o'brien", `"; --`, "'; drop table users; --", "日本"} {
		u := User{Username: name, Channels: []string{"user/" + name}}
		add(t, s, u, "pass")
		got, err := s.Check(t.Context(), name, "pass")
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if diff := cmp.Diff(u, got); diff != "" {
			t.Error(diff)
		}
	}
}

// Names that the limits of package login take for one are one user.
func TestNamesHaveOneSpelling(t *testing.T) {
	s := open(t, "")
	add(t, s, User{Username: " Alice", Channels: alice.Channels}, "secret")
	for _, name := range []string{"alice", "ALICE", "Alice "} {
		got, err := s.Check(t.Context(), name, "secret")
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if diff := cmp.Diff(alice, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAddRefusesTakenName(t *testing.T) {
	for _, file := range []string{"", filepath.Join(t.TempDir(), "users.db")} {
		s := open(t, file)
		add(t, s, alice, "secret")
		for _, name := range []string{"alice", "Alice", "alice "} {
			if err := s.Add(t.Context(), User{Username: name}, "mine now"); !errors.Is(err, errTaken) {
				t.Errorf("%q, although there is alice: %v", name, err)
			}
		}
		if _, err := s.Check(t.Context(), "alice", "secret"); err != nil {
			t.Errorf("the first password no longer works: %v", err)
		}
		if err := s.Add(t.Context(), User{Username: " "}, "x"); !errors.Is(err, errNoName) {
			t.Errorf("no name: %v", err)
		}
	}
}

func TestCheckEndsWithContext(t *testing.T) {
	s := open(t, "")
	add(t, s, alice, "secret")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Check(ctx, "alice", "secret"); !errors.Is(err, context.Canceled) {
		t.Errorf("Check = %v, want context.Canceled", err)
	}
	if _, err := s.Check(t.Context(), "alice", "secret"); err != nil {
		t.Errorf("Check after a cancelled one: %v", err)
	}
}

func TestBadRowIsNoLogin(t *testing.T) {
	for _, file := range []string{"", filepath.Join(t.TempDir(), "users.db")} {
		s := open(t, file)
		for name, row := range map[string]string{
			"plain":  `{"password":"secret","channels":[]}`,
			"broken": `{`,
			"empty":  ``,
		} {
			if err := s.rows.add(name, []byte(row)); err != nil {
				t.Fatal(err)
			}
			if u, err := s.Check(t.Context(), name, "secret"); err == nil || errors.Is(err, login.ErrInvalidCredentials) {
				t.Errorf("%s: Check = %v, %v; want an error of the database", name, u, err)
			}
		}
	}
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a strange?name%20#.db")
	first, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	add(t, first, alice, "secret")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the file has mode %v, want 0600", mode)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, file)
	if _, err := again.Check(t.Context(), "alice", "secret"); err != nil {
		t.Errorf("after opening it again: %v", err)
	}
	if n, err := again.Count(t.Context()); n != 1 || err != nil {
		t.Errorf("opened again, it has %d users, %v; want 1", n, err)
	}
	if n, err := open(t, "").Count(t.Context()); n != 0 || err != nil {
		t.Errorf("a database in memory has %d users, %v; want none", n, err)
	}
}

// Two processes cannot have a file at a time: the second one is told so within
// seconds. The lock belongs to the open file, so it does not matter that both
// are in one process here.
func TestFileInUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.db")
	first := open(t, file)
	begin := time.Now()
	second, err := Open(t.Context(), file)
	if err == nil {
		second.Close()
	}
	if took := time.Since(begin); err == nil || !strings.Contains(err.Error(), file+" is open in another process") || took > 5*lockWait {
		t.Errorf("after %v: %v", took, err)
	}
	add(t, first, alice, "secret")
}

// A file that was cut or damaged is an error, or what is damaged is not in use.
// It never ends the process.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.db")
	s, err := Open(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	s.hasher = &password.Hasher{Params: cheap}
	for i := range 100 { // several pages
		add(t, s, User{Username: fmt.Sprint("user", i), Channels: alice.Channels}, "secret")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	try := func(text []byte) bool {
		t.Helper()
		tries++ // a damaged file stays locked
		path := filepath.Join(dir, fmt.Sprint("damaged", tries, ".db"))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path)
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not name the file: %v", err)
			}
			return false
		}
		if _, err := s.Count(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		return true
	}
	if !try(text) {
		t.Error("the whole file cannot be opened")
	}
	page := os.Getpagesize()
	for size := 1; size < len(text)/2; size += page / 2 {
		try(text[:size])
	}
	if try(text[:2*page]) {
		t.Error("a file of two pages can be opened")
	}
	for at := 0; at < len(text); at += page / 8 {
		damaged := bytes.Clone(text)
		for i := range min(page/8, len(text)-at) {
			damaged[at+i] ^= 0xff
		}
		try(damaged)
	}
}

func TestOpenTellsWhatFailed(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("certainly no database, and long enough to be read as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{dir, filepath.Join(dir, "none", "x.db"), text} {
		s, err := Open(t.Context(), file)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("Open(%q) = %v", file, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a context that has ended: %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	for _, file := range []string{"", filepath.Join(t.TempDir(), "users.db")} {
		concurrentUse(t, open(t, file))
	}
}

func concurrentUse(t *testing.T, s *Store) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			u := User{Username: fmt.Sprint("user", i), Channels: []string{}}
			if err := s.Add(t.Context(), u, "pass"); err != nil {
				t.Error(err)
				return
			}
			got, err := s.Check(t.Context(), u.Username, "pass")
			if err != nil {
				t.Error(err)
				return
			}
			if diff := cmp.Diff(u, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	wg.Wait()
	if n, err := s.Count(t.Context()); n != 16 || err != nil {
		t.Errorf("Count = %d, %v; want 16", n, err)
	}
}

func TestClosed(t *testing.T) {
	for _, file := range []string{"", filepath.Join(t.TempDir(), "users.db")} {
		s := open(t, file)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Add(t.Context(), alice, "secret"); err == nil {
			t.Errorf("%q: Add did not fail", file)
		}
		if _, err := s.Check(t.Context(), "alice", "secret"); err == nil || errors.Is(err, login.ErrInvalidCredentials) {
			t.Errorf("%q: Check = %v, want an error of the database", file, err)
		}
		if _, err := s.Count(t.Context()); err == nil {
			t.Errorf("%q: Count did not fail", file)
		}
	}
}
