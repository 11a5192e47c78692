package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBytesArriveInOrderThroughASmallBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(7)
		want := bytes.Repeat([]byte("0123456789"), 100)
		go func() {
			if n, err := a.Write(want); n != len(want) || err != nil {
				t.Errorf("Write = %d, %v", n, err)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d bytes, %v; want %d in order", len(got), err, len(want))
		}
	})
}

func TestWriteBlocksWhileTheBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(4)
		done := false
		go func() {
			if _, err := a.Write([]byte("12345")); err != nil {
				t.Error(err)
			}
			done = true
		}()
		synctest.Wait()
		if done {
			t.Fatal("five bytes went into a buffer of four")
		}
		if _, err := b.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !done {
			t.Fatal("reading did not make room")
		}
	})
}

func TestWritesDoNotMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(4)
		for range 50 {
			go func() { _, _ = a.Write([]byte("xxxxxxxxxx")) }()
			synctest.Wait()
			got := make([]byte, 11)
			if _, err := b.Read(got[:1]); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = a.Write([]byte("y")) }() // there is room for it now
			if _, err := io.ReadFull(b, got[1:]); err != nil || string(got) != "xxxxxxxxxxy" {
				t.Fatalf("read %q, %v", got, err)
			}
		}
	})
}

func TestDeadlines(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(c net.Conn, t time.Time) error
		op   func(c net.Conn) (int, error)
		n    int
	}{
		{"read", net.Conn.SetReadDeadline, func(c net.Conn) (int, error) { return c.Read(make([]byte, 1)) }, 0},
		{"write", net.Conn.SetWriteDeadline, func(c net.Conn) (int, error) { return c.Write(make([]byte, 9)) }, 4},
		{"both", net.Conn.SetDeadline, func(c net.Conn) (int, error) { return c.Read(make([]byte, 1)) }, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, _ := Pipe(4)
				start := time.Now()
				if err := tc.set(a, start.Add(time.Second)); err != nil {
					t.Fatal(err)
				}
				n, err := tc.op(a)
				if n != tc.n || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("got %d, %v", n, err)
				}
				var ne net.Error
				if !errors.As(err, &ne) || !ne.Timeout() {
					t.Errorf("%v is not a timeout of package net", err)
				}
				if d := time.Since(start); d != time.Second {
					t.Errorf("failed after %v", d)
				}
				// A new deadline revives the connection, also for a blocked call.
				if err := tc.set(a, start.Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				result := make(chan error)
				go func() { _, err := tc.op(a); result <- err }()
				synctest.Wait()
				if err := tc.set(a, time.Unix(1, 0)); err != nil {
					t.Fatal(err)
				}
				if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("a deadline in the past gave %v", err)
				}
				if err := tc.set(a, time.Time{}); err != nil {
					t.Fatal(err)
				}
				go func() { _, err := tc.op(a); result <- err }()
				time.Sleep(24 * time.Hour)
				select {
				case err := <-result:
					t.Errorf("without a deadline: %v", err)
				default:
				}
				if err := a.Close(); err != nil {
					t.Fatal(err)
				}
				if err := <-result; !errors.Is(err, net.ErrClosed) {
					t.Errorf("closing gave %v", err)
				}
				if err := tc.set(a, time.Now().Add(time.Hour)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("deadline on a closed connection: %v", err)
				}
			})
		})
	}
}

func TestClose(t *testing.T) {
	a, b := Pipe(0)
	if _, err := a.Write([]byte("xy")); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if _, err := a.Write([]byte("z")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("own Write: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("own Read: %v", err)
	}
	if _, err := b.Write([]byte("z")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("peer's Write: %v", err)
	}
	if got, err := io.ReadAll(b); string(got) != "xy" || err != nil {
		t.Errorf("peer read %q, %v", got, err)
	}
}

func TestCloseWriteLeavesTheOtherDirection(t *testing.T) {
	a, b := Pipe(0)
	if err := a.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("peer's Read: %v", err)
	}
	if _, err := b.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 2)
	if n, err := a.Read(p); string(p[:n]) != "x" || err != nil {
		t.Errorf("Read = %q, %v", p[:n], err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Dial without Accept: %v", err)
		}
		result := make(chan error)
		go func() { _, err := l.Accept(); result <- err }()
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
		if _, err := l.Dial(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial after Close: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

// An HTTP server over it runs wholly inside a bubble.
func TestHTTPServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen()
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(body)
		})}
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return l.Dial(ctx)
		}}
		want := bytes.Repeat([]byte("x"), 200<<10)
		res, err := (&http.Client{Transport: tr}).Post("http://mem/", "text/plain", bytes.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("echo of %d bytes: %d, %v", len(want), len(got), err)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
		tr.CloseIdleConnections()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
