package client_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster/client"
)

// Both stores keep a token by name, and remove it only if it is the one that is
// meant (AUTH-50).
func TestStores(t *testing.T) {
	for name, store := range map[string]client.TokenStore{
		"memory": new(client.MemoryStore),
		"file":   client.NewFileStore(filepath.Join(t.TempDir(), "tokens.json")),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			want := func(name, token string) {
				t.Helper()
				if got, err := store.Load(ctx, name); got != token || err != nil {
					t.Errorf("%s is %q, %v; want %q", name, got, err, token)
				}
			}
			remove := func(name, token string, want bool) {
				t.Helper()
				if removed, err := store.Remove(ctx, name, token); removed != want || err != nil {
					t.Errorf("removing %q of %s: %v, %v; want %v", token, name, removed, err, want)
				}
			}
			want("a", "")
			remove("a", "", false)
			for _, token := range []string{"old", "new"} {
				if err := store.Save(ctx, "a", token); err != nil {
					t.Fatal(err)
				}
			}
			if err := store.Save(ctx, "b", "other"); err != nil {
				t.Fatal(err)
			}
			want("a", "new")
			remove("a", "old", false)
			remove("a", "", false)
			want("a", "new")
			changes := 0
			stop := store.(client.Watcher).Watch("a", func() { changes++ })
			remove("a", "new", true)
			remove("a", "new", false)
			remove("b", "none", false)
			stop()
			if err := store.Save(ctx, "a", "later"); err != nil {
				t.Fatal(err)
			}
			if changes != 1 {
				t.Errorf("the watcher was told of %d changes, want 1", changes)
			}
			want("b", "other")
		})
	}
}

func TestFileStoreIsPrivate(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "tokens.json")
	store := client.NewFileStore(path)
	if err := store.Save(t.Context(), "a", "secret"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if len(entries) != 2 {
		t.Errorf("the store leaves %v", entries)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
	if err := os.WriteFile(path, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file of another form: %v", err)
	}
	if err := store.Save(t.Context(), "a", "b"); err == nil {
		t.Error("a file of another form is overwritten")
	}
}

// A link to the file stays one, whether the file exists or not, and whoever uses the file has
// the same lock.
func TestFileStoreKeepsLinks(t *testing.T) {
	folder := t.TempDir()
	for _, sub := range []string{"links", "files"} {
		if err := os.Mkdir(filepath.Join(folder, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "files", "tokens.json")
	relative, absolute := filepath.Join(folder, "links", "relative"), filepath.Join(folder, "links", "absolute")
	for link, to := range map[string]string{relative: filepath.Join("..", "files", "tokens.json"), absolute: relative} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, token := range []string{"first", "second"} {
		if err := client.NewFileStore(absolute).Save(t.Context(), "a", token); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, relative, absolute} {
			if got, err := client.NewFileStore(path).Load(t.Context(), "a"); got != token || err != nil {
				t.Errorf("%s: %q, %v; want %q", path, got, err, token)
			}
		}
	}
	for _, link := range []string{relative, absolute} {
		if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s is a link no more: %v, %v", link, info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(folder, "links")); len(entries) != 2 || err != nil {
		t.Errorf("beside the links are %v, %v", entries, err)
	}
	if _, err := os.Stat(file + ".lock"); err != nil {
		t.Error(err)
	}
}

// A link that names itself is an error.
func TestFileStoreInACircle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	if err := os.Symlink(path, path); err != nil {
		t.Fatal(err)
	}
	if err := client.NewFileStore(path).Save(t.Context(), "a", "x"); err == nil {
		t.Error("no error")
	}
}

// Stores in one file, as of several processes, lose none of their changes.
func TestFileStoresShareAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			store := client.NewFileStore(path)
			for range 20 {
				if err := store.Save(context.Background(), string(rune('a'+i)), "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	store := client.NewFileStore(path)
	for i := range 8 {
		if token, err := store.Load(t.Context(), string(rune('a'+i))); token != "x" || err != nil {
			t.Errorf("%d: %q, %v", i, token, err)
		}
	}
}

// A store sees what another process does to its file.
func TestFileStoreFollowsOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tokens.json")
		mine, other := client.NewFileStore(path), client.NewFileStore(path)
		changes := make(chan struct{}, 10)
		stop := mine.Watch("a", func() { changes <- struct{}{} })
		if err := other.Save(t.Context(), "a", "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(changes) != 1 {
			t.Errorf("%d changes are seen, want 1", len(changes))
		}
		// Two logins at the same time, of the same size.
		if err := mine.Save(t.Context(), "a", "y"); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Save(t.Context(), "a", "z"); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(changes) != 3 { // that of this store, and that of the other
			t.Errorf("%d changes are seen, want 3", len(changes))
		}
		stop()
		stop()
		if err := other.Save(t.Context(), "a", "longer"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(changes) != 3 {
			t.Error("a change is told after the watch has ended")
		}
	})
}
