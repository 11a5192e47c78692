package main

import (
	"bytes"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// program finds a program of PostgreSQL. Debian keeps those of servers in a
// folder for each version.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s was not found; it is in the Debian package postgresql", name)
	}
	return slices.Max(found)
}

// startPostgres starts a database server for this test alone, without a port,
// and connects to an empty database on it.
func startPostgres(t *testing.T) *pgxpool.Pool {
	t.Helper()
	// Not t.TempDir, as the name of a socket must be short.
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	owner := unprivileged(t, dir)
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program(t, name), args...) // ends with the test
		cmd.Dir, cmd.SysProcAttr = dir, owner
		return cmd
	}

	data := filepath.Join(dir, "data")
	initdb := run("initdb", "--pgdata="+data, "--username=app", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	if output, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", initdb, err, output)
	}
	server := run("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGINT) } // it does not wait for clients
	server.WaitDelay = 20 * time.Second                                           // then it is killed
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = server.Wait() // the state that it leaves does not matter
	}()
	t.Cleanup(func() { <-exited })

	pool, err := pgxpool.New(t.Context(), "user=app dbname=postgres host="+dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for pool.Ping(t.Context()) != nil {
		select {
		case <-exited:
			t.Fatalf("%s has ended:\n%s", server, &log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return pool
}

// unprivileged returns the user as whom the server runs, and gives dir to that
// user: PostgreSQL refuses to run as root.
func unprivileged(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(account.Uid)
		gid, err2 := strconv.Atoi(account.Gid)
		if err1 != nil || err2 != nil {
			t.Fatalf("%s has the ids %s and %s", name, account.Uid, account.Gid)
		}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	t.Fatal("PostgreSQL does not run as root, and there is no user postgres or nobody")
	return nil
}
