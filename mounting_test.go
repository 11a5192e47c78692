package socketcluster_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/socketcluster-go/socketcluster"
)

// plainWriter hides all that a ResponseWriter can do besides.
type plainWriter struct{ http.ResponseWriter }

// openWriter shows it again.
type openWriter struct{ http.ResponseWriter }

func (w openWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Who mounts the server so that no client can get in finds one warning in the log
// that says what is wrong, however many clients try.
func TestMountedWrongly(t *testing.T) {
	wrap := func(with func(http.ResponseWriter) http.ResponseWriter) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(with(w), r) })
		}
	}
	for _, test := range []struct {
		name   string
		cfg    socketcluster.Config
		mount  func(http.Handler) http.Handler
		edit   func(r *http.Request)
		status int
		want   []string // of the warning; none: there is none
	}{
		{
			name: "as it should be", status: http.StatusSwitchingProtocols,
		}, {
			name: "an open wrapper", status: http.StatusSwitchingProtocols,
			mount: wrap(func(w http.ResponseWriter) http.ResponseWriter { return openWriter{w} }),
		}, {
			name: "another path", status: http.StatusBadRequest,
			edit: func(r *http.Request) { r.URL.Path = "/ws/" },
			want: []string{"path=/ws/", "Config.Path=/socketcluster/"},
		}, {
			name: "two paths", status: http.StatusBadRequest, cfg: socketcluster.Config{Path: "/new/", Protocol1Path: "/old/"},
			want: []string{"path=/socketcluster/", "Config.Path=/new/", "Config.Protocol1Path=/old/"},
		}, {
			name: "a path that is taken off", status: http.StatusBadRequest,
			mount: func(h http.Handler) http.Handler { return http.StripPrefix("/socketcluster", h) },
			want:  []string{"path=/ ", "Config.Path=/socketcluster/"},
		}, {
			name: "a long path is cut", status: http.StatusBadRequest,
			edit: func(r *http.Request) { r.URL.Path = "/" + strings.Repeat("x", 10_000) },
			want: []string{"path=/" + strings.Repeat("x", 255) + " "},
		}, {
			name: "a wrapper", status: http.StatusInternalServerError,
			mount: wrap(func(w http.ResponseWriter) http.ResponseWriter { return openWriter{plainWriter{openWriter{w}}} }),
			want:  []string{"wrapper=socketcluster_test.plainWriter", "Unwrap"},
		}, {
			name: "http.TimeoutHandler", status: http.StatusInternalServerError,
			mount: func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "late") },
			want:  []string{"wrapper=*http.timeoutWriter", "http.TimeoutHandler"},
		}, {
			name: "a proxy that drops headers", status: http.StatusBadRequest,
			edit: func(r *http.Request) { r.Header.Del("Upgrade"); r.Header.Set("Connection", "close") },
			want: []string{"has lost its Upgrade header", "a proxy must pass on Upgrade", "protocol=HTTP/1.1"},
		}, {
			name: "no WebSocket at all", status: http.StatusBadRequest,
			edit: func(r *http.Request) {
				for name := range r.Header {
					r.Header.Del(name)
				}
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.cfg, func(w *world) {
				if test.mount != nil {
					w.web.Handler = test.mount(w.srv)
				}
				for range 3 {
					p, resp := w.upgrade(test.edit)
					if resp.StatusCode != test.status {
						t.Errorf("got %s", resp.Status)
					}
					p.conn.Close()
					io.Copy(io.Discard, p.in)
				}
				var warnings []string
				for line := range strings.Lines(w.logs.String()) {
					if strings.Contains(line, "level=WARN") {
						warnings = append(warnings, line)
					}
				}
				if len(test.want) == 0 {
					if len(warnings) > 0 {
						t.Errorf("warned: %s", warnings)
					}
					return
				}
				if len(warnings) != 1 {
					t.Fatalf("%d warnings: %s", len(warnings), warnings)
				}
				for _, want := range test.want {
					if !strings.Contains(warnings[0], want) {
						t.Errorf("%s is not in %s", want, warnings[0])
					}
				}
				if n := strings.Count(w.logs.String(), "level=DEBUG msg=\"upgrade "); n != 2 {
					t.Errorf("%d lines at level Debug, want the other 2:\n%s", n, w.logs)
				}
			})
		})
	}
}
