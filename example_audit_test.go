package socketcluster_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"

	"github.com/socketcluster-go/socketcluster"
)

// Who logs in or out, or fails to, gets into a log, with events of the
// application's own.
func ExampleAuditLog() {
	srv, err := socketcluster.New(socketcluster.Config{AuthKey: "at least 32 bytes that nobody guesses"})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTimes}))
	socketcluster.On(srv, socketcluster.AuditLog(log))

	srv.Audit(socketcluster.AuditEvent{Kind: "passwordChanged", User: "alice", Address: netip.MustParseAddr("192.0.2.1")})
	// Output: level=INFO msg=audit kind=passwordChanged address=192.0.2.1 user=alice
}

func withoutTimes(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		return slog.Attr{}
	}
	return a
}

func ExampleServer_ClientAddr() {
	srv, err := socketcluster.New(socketcluster.Config{
		AuthKey:        "at least 32 bytes that nobody guesses",
		TrustedProxies: []string{"10.0.0.0/8"},
	})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	r := &http.Request{RemoteAddr: "10.0.0.1:51234", Header: http.Header{"X-Forwarded-For": {"127.0.0.1, 192.0.2.1"}}}
	fmt.Println(srv.ClientAddr(r)) // what stands before the client's address is invented
	// Output: 192.0.2.1
}
