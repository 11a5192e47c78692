package socketcluster_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/internal/memnet"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// inServe runs a test with a world that Serve serves. stop ends the context of
// Serve, whose result is in ended.
func inServe(t *testing.T, cfg socketcluster.Config, fn func(w *world, stop func(), ended chan error)) {
	t.Helper()
	inBubble(t, cfg, func(w *world) {
		w.web.Close() // in favour of another one
		w.listen = memnet.Listen()
		mux := http.NewServeMux()
		mux.Handle(socketcluster.DefaultPath, w.srv)
		mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) })
		w.web = &http.Server{Handler: mux, ErrorLog: w.web.ErrorLog}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- w.srv.Serve(ctx, w.web, w.listen) }()
		fn(w, stop, ended)
	})
}

// TR-34, QK-24: clients are asked to connect elsewhere, and both servers end,
// when the context does.
func TestServeShutsDown(t *testing.T) {
	for name, begin := range map[string]func(w *world, stop func()){
		"the end of the context": func(_ *world, stop func()) { stop() },
		"web.Shutdown":           func(w *world, _ func()) { go w.web.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			inServe(t, socketcluster.Config{}, func(w *world, stop func(), ended chan error) {
				p := w.client()
				begin(w, stop)
				synctest.Wait()
				select {
				case err := <-ended:
					t.Fatalf("returned with a client connected: %v", err)
				default:
				}
				p.wantClose(1001, "")
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if err := w.srv.Close(); !errors.Is(err, socketcluster.ErrServerClosed) {
					t.Errorf("the sockets are not shut down: %v", err)
				}
				if log := w.logs.String(); !strings.Contains(log, `level=INFO msg="shutting down" clients=1`) {
					t.Errorf("log:\n%s", log)
				}
			})
		})
	}
}

// A request that goes on, or a client that does not answer, is dropped at
// Config.Timeouts.Shutdown. The clients are nevertheless closed at once.
func TestServeDropsWhoStays(t *testing.T) {
	for set, want := range map[time.Duration]time.Duration{0: socketcluster.DefaultShutdownTimeout, 2 * time.Second: 2 * time.Second} {
		inServe(t, socketcluster.Config{Timeouts: socketcluster.Timeouts{Shutdown: set}}, func(w *world, stop func(), ended chan error) {
			slow, err := w.listen.Dial(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			defer slow.Close()
			if _, err := io.WriteString(slow, "POST /slow HTTP/1.1\r\nHost: server\r\nContent-Length: 10\r\n\r\n{"); err != nil { // and nothing more
				t.Fatal(err)
			}
			clients := leavers(w.clients(2)...)
			synctest.Wait()
			began := time.Now()
			stop()
			if n := gone(clients); n != 2 {
				t.Errorf("%d of 2 clients are closed at once", n)
			}
			if err := <-ended; err != nil {
				t.Errorf("Serve: %v", err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("the shutdown took %v, want %v", took, want)
			}
			if _, err := slow.Read(make([]byte, 1)); err == nil {
				t.Error("the slow request is not dropped")
			}
			if log := w.logs.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "Config.Timeouts.Shutdown") {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// An error that keeps the HTTP server from serving is returned, and closes the
// sockets.
func TestServeFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for want, serve := range map[error]func(srv *socketcluster.Server) error{
		net.ErrClosed: func(srv *socketcluster.Server) error {
			return srv.Serve(t.Context(), &http.Server{Handler: srv}, closed)
		},
		syscall.EADDRINUSE: func(srv *socketcluster.Server) error {
			return srv.Run(&http.Server{Handler: srv, Addr: taken.Addr().String()})
		},
	} {
		srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}})
		if err != nil {
			t.Fatal(err)
		}
		if err := serve(srv); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		if err := srv.Close(); !errors.Is(err, socketcluster.ErrServerClosed) {
			t.Errorf("%v: the sockets are not closed: %v", want, err)
		}
	}
}

// slowListener takes a second to close.
type slowListener struct {
	*memnet.Listener
	closed atomic.Bool
}

func (l *slowListener) Close() error {
	time.Sleep(time.Second)
	l.closed.Store(true)
	return l.Listener.Close()
}

// The listener is closed when Serve returns, also when its context has ended
// before.
func TestServeWithEndedContext(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		listener := &slowListener{Listener: memnet.Listen()}
		if err := w.srv.Serve(ctx, &http.Server{Handler: w.srv}, listener); err != nil {
			t.Error(err)
		}
		if !listener.closed.Load() {
			t.Error("the listener is not closed yet")
		}
	})
}

// The first signal begins the shutdown, the second one ends the process. With
// certificates it is HTTPS. The test runs itself in processes of its own.
func TestRun(t *testing.T) {
	if address, found := os.LookupEnv(listenAndServeVariable); found {
		listenAndServe(t, address)
		return
	}
	site := httptest.NewTLSServer(nil)
	defer site.Close()
	roots := x509.NewCertPool()
	roots.AddCert(site.Certificate())
	secure := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	for _, c := range []struct {
		scheme string
		signal syscall.Signal
		secure *tls.Config
	}{{"ws", syscall.SIGTERM, nil}, {"ws", syscall.SIGINT, nil}, {"wss", syscall.SIGTERM, secure}, {"wss+function", syscall.SIGINT, secure}} {
		t.Run(c.scheme+" "+c.signal.String(), func(t *testing.T) {
			p := startRun(t, c.scheme, c.secure)
			p.Process.Signal(c.signal)
			frame, err := p.conn.ReadFrame()
			if code, _ := ws.ParseCloseFrameData(frame.Payload); err != nil || code != ws.StatusGoingAway {
				t.Errorf("closed with %d, %v", code, err)
			}
			p.conn.SendFrame(frame)
			p.conn.Close()
			if err := p.Wait(); err != nil || !strings.Contains(p.output.String(), "returned <nil>") {
				t.Errorf("the process ended with %v:\n%s", err, p.output)
			}

			p = startRun(t, c.scheme, c.secure)
			p.Process.Signal(c.signal)
			if frame, err := p.conn.ReadFrame(); err != nil || frame.Header.OpCode != ws.OpClose {
				t.Errorf("%v, %v", frame, err)
			}
			// The close frame is not answered. A signal that comes at once may still
			// be taken for the first one.
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				p.Wait()
			}()
			for running := true; running; {
				p.Process.Signal(c.signal)
				select {
				case <-ended:
					running = false
				case <-time.After(10 * time.Millisecond):
				}
			}
			if status, ok := p.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != c.signal {
				t.Errorf("the process ended with %v, want the signal:\n%s", p.ProcessState, p.output)
			}
		})
	}
}

const listenAndServeVariable = "SOCKETCLUSTER_TEST_LISTEN_AND_SERVE"

// listenAndServe is the process. Clients have a minute to go.
func listenAndServe(t *testing.T, address string) {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: testKey}, Timeouts: socketcluster.Timeouts{Shutdown: time.Minute, Close: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	scheme, address, _ := strings.Cut(address, "://")
	web := &http.Server{Addr: address, Handler: srv}
	site := httptest.NewTLSServer(nil) // for its certificate
	site.Close()
	switch pair := site.TLS.Certificates[0]; scheme {
	case "wss":
		web.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	case "wss+function":
		web.TLSConfig = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }}
	}
	fmt.Println("returned", srv.Run(web))
}

// runProcess is such a process, and a connection to it.
type runProcess struct {
	*exec.Cmd
	output *bytes.Buffer // when it has ended
	conn   *sctest.Conn
}

func startRun(t *testing.T, scheme string, secure *tls.Config) *runProcess {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	p := &runProcess{Cmd: exec.Command(exe, "-test.run=^TestRun$"), output: new(bytes.Buffer)}
	p.Env = append(os.Environ(), listenAndServeVariable+"="+scheme+"://"+address)
	p.Stdout, p.Stderr = p.output, p.output
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	for {
		if conn, err = net.Dial("tcp", address); err == nil {
			break
		}
		if !errors.Is(err, syscall.ECONNREFUSED) { // it does not listen yet
			p.Process.Kill()
			p.Wait()
			t.Fatalf("%v\n%s", err, p.output)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if secure != nil {
		conn = tls.Client(conn, secure)
	}
	if p.conn, err = sctest.Open(conn, nil); err != nil {
		p.Process.Kill()
		p.Wait()
		t.Fatalf("%v\n%s", err, p.output)
	}
	t.Cleanup(func() { p.conn.Close() })
	// Whoever has an answer is known to the server.
	if _, err := p.conn.Handshake(""); err != nil {
		t.Fatal(err)
	}
	return p
}
