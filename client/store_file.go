package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/socketcluster-go/socketcluster/internal/filelock"
)

// FileStore keeps tokens in a file, a JSON object, which only its owner can read (mode 0600).
// The file is replaced in one step, so that it is whole at any time. Several
// processes may share it: changes are made under a lock, a file beside it with
// the suffix .lock (on systems with flock). A change by another process is seen within a second.
// If the path is a symbolic link, it stays one: the file that it names is replaced.
type FileStore struct {
	path string

	mu   sync.Mutex  // guards the file within the process, and what follows
	seen fs.FileInfo // of the file at the last look; nil if there was none
	stop func()      // ends the looks; nil while nobody watches
	watchers
	watching int
}

// watchInterval is how often a FileStore looks for changes of other processes
// while clients watch it.
const watchInterval = time.Second

// NewFileStore returns a store in a file. The file is made by the first Save; its
// folder must exist.
func NewFileStore(path string) *FileStore { return &FileStore{path: path} }

// Load implements [TokenStore]. It fails if others can read the file, as their
// logins would be worth no more than the token.
func (s *FileStore) Load(_ context.Context, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens, err := s.read()
	return tokens[name], err
}

// Save implements [TokenStore].
func (s *FileStore) Save(_ context.Context, name, token string) error {
	_, err := s.change(name, func(tokens map[string]string) bool {
		tokens[name] = token
		return true
	})
	return err
}

// Remove implements [TokenStore].
func (s *FileStore) Remove(_ context.Context, name, token string) (removed bool, err error) {
	return s.change(name, func(tokens map[string]string) bool {
		if token == "" || tokens[name] != token {
			return false
		}
		delete(tokens, name)
		return true
	})
}

// change replaces the file, unless edit returns false.
func (s *FileStore) change(name string, edit func(map[string]string) bool) (changed bool, err error) {
	s.mu.Lock()
	path := target(s.path)
	unlock, err := filelock.Lock(path + ".lock")
	if err != nil {
		s.mu.Unlock()
		return false, fmt.Errorf("client: token store: %w", err)
	}
	tokens, err := s.read()
	if tokens == nil {
		tokens = make(map[string]string)
	}
	if err == nil && edit(tokens) {
		changed = true
		if err = write(path, tokens); err == nil {
			s.seen = s.look()
		}
	}
	unlock()
	s.mu.Unlock()
	if err != nil {
		return false, err
	}
	if changed {
		s.tell(name)
	}
	return changed, nil
}

// read reads the file. It has no tokens if it does not exist. mu must be held.
func (s *FileStore) read() (tokens map[string]string, err error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("client: token store: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("client: token store: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 { // there the mode does not show it
		return nil, fmt.Errorf("client: token store: others can read %s, which has tokens: make it yours alone (chmod 600), or delete it and log in again", s.path)
	}
	if err := json.NewDecoder(f).Decode(&tokens); err != nil {
		return nil, fmt.Errorf("client: token store: %s is not a JSON object of texts: %w", s.path, err)
	}
	return tokens, nil
}

// maxLinks is how many symbolic links are followed, as on Linux.
const maxLinks = 40

// target returns the path of the file that a path names if it is a symbolic link. The file
// need not exist.
func target(path string) string {
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil {
			break // it is none, or cannot be used, which others notice
		}
		if !filepath.IsAbs(to) {
			to = filepath.Dir(path) + string(filepath.Separator) + to // Join would take .. for the parent of a linked folder
		}
		path = to
	}
	return path
}

// write replaces the file at a path, which is no link.
func write(path string, tokens map[string]string) error {
	text, err := json.MarshalIndent(tokens, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("client: token store: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("client: token store: %w", err)
	}
	return nil
}

// Watch implements [Watcher].
func (s *FileStore) Watch(name string, changed func()) (stop func()) {
	remove := s.watchers.Watch(name, changed)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching++; s.watching == 1 {
		s.seen = s.look()
		s.stop = every(watchInterval, s.check)
	}
	return sync.OnceFunc(func() {
		remove()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.watching--; s.watching == 0 {
			s.stop()
		}
	})
}

// check tells the watchers if another process has changed the file.
func (s *FileStore) check() {
	s.mu.Lock()
	now := s.look()
	changed := !sameFile(now, s.seen)
	s.seen = now
	s.mu.Unlock()
	if changed {
		s.tellAll()
	}
}

// look returns what shows whether the file has been replaced, or nil if there is none.
func (s *FileStore) look() fs.FileInfo {
	info, err := os.Stat(s.path)
	if err != nil {
		return nil
	}
	return info
}

// sameFile reports whether a file has not been replaced. Two logins at the same time may have
// one size, and one time by the clock of the file system.
func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// every calls fn at an interval, until stop is called.
func every(interval time.Duration, fn func()) (stop func()) {
	var mu sync.Mutex
	stopped := false
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(interval, func() {
		fn()
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			timer.Reset(interval)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}
