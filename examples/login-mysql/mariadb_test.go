package main

import (
	"bytes"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// program finds a program of MariaDB. Those of servers are not on the PATH of
// every user.
func program(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name, "/usr/libexec/" + name} {
			if path, err := exec.LookPath(candidate); err == nil {
				return path
			}
		}
	}
	t.Fatalf("none of %v was found; it is in the Debian package mariadb-server", names)
	return ""
}

// startMariaDB starts a database server for this test alone, without a port,
// and returns an empty database on it.
func startMariaDB(t *testing.T) *sql.DB {
	t.Helper()
	install, server := program(t, "mariadb-install-db", "mysql_install_db"), program(t, "mariadbd", "mysqld")
	// Not t.TempDir, as the name of a socket must be short.
	dir, err := os.MkdirTemp("", "mariadb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	common := []string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data")}
	if os.Getuid() == 0 {
		common = append(common, "--user=root")
	}

	args := append(common[:len(common):len(common)], "--auth-root-authentication-method=normal", "--skip-test-db")
	if output, err := exec.CommandContext(t.Context(), install, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", install, err, output)
	}

	args = append(common[:len(common):len(common)], "--socket="+socket, "--skip-networking", "--pid-file="+filepath.Join(dir, "pid"))
	cmd := exec.CommandContext(t.Context(), server, args...) // ends with the test
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second // then it is killed
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // the state that it leaves does not matter
	}()
	t.Cleanup(func() { <-exited })

	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.Logger = "root", "unix", socket, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	admin := sql.OpenDB(connector)
	defer admin.Close()
	for admin.PingContext(t.Context()) != nil {
		select {
		case <-exited:
			t.Fatalf("%s has ended:\n%s", server, &log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	if _, err := admin.ExecContext(t.Context(), `CREATE DATABASE app`); err != nil {
		t.Fatal(err)
	}
	cfg.DBName = "app"
	db, err := sql.Open("mysql", cfg.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
