package socketcluster

import (
	"fmt"

	"github.com/socketcluster-go/socketcluster/internal/redact"
)

// Values that contain a token or a key are printed without it, by every verb
// and as JSON, because they end up in logs. So are values that contain data of
// a client, which may be a login. In an unexported field of another type only
// pointers to these types are safe, because fmt calls no methods there.

func (c Config) text() string {
	return redact.Text(c) // Auth is redacted itself
}

// Format implements [fmt.Formatter]. It shows no key.
func (c Config) Format(f fmt.State, _ rune) { redact.Format(f, c.text()) }

// MarshalJSON implements json.Marshaler. It shows no key.
func (c Config) MarshalJSON() ([]byte, error) { return redact.JSON(c.text()) }

func (srv *Server) text() string {
	if srv == nil {
		return "<nil>"
	}
	return "socketcluster.Server{" + srv.cfg.Path + "}"
}

// Format implements [fmt.Formatter]. It shows no key, and no state that
// changes.
func (srv *Server) Format(f fmt.State, _ rune) { redact.Format(f, srv.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (srv *Server) MarshalJSON() ([]byte, error) { return redact.JSON(srv.text()) }

func (s *Socket) text() string {
	if s == nil {
		return "<nil>"
	}
	return "socketcluster.Socket{" + s.ID() + "}"
}

// Format implements [fmt.Formatter]. It shows only the ID.
func (s *Socket) Format(f fmt.State, _ rune) { redact.Format(f, s.text()) }

// MarshalJSON implements json.Marshaler, as Format does fmt.Formatter.
func (s *Socket) MarshalJSON() ([]byte, error) { return redact.JSON(s.text()) }

func (a Upgrade) text() string { return redact.Text(a) }

// Format implements [fmt.Formatter]. It shows nothing of the request, whose
// headers contain cookies and tokens.
func (a Upgrade) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler. It shows nothing of the request.
func (a Upgrade) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

func (a Handshake) text() string { return redact.Text(a, "SignedAuthToken") }

// Format implements [fmt.Formatter]. It shows no token.
func (a Handshake) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (a Handshake) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

func (a Authenticate) text() string { return redact.Text(a, "SignedAuthToken") }

// Format implements [fmt.Formatter]. It shows no token.
func (a Authenticate) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (a Authenticate) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

// A message that has not been read yet may be a handshake.
func (a RawMessage) text() string { return redact.Text(a, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (a RawMessage) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (a RawMessage) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

func (e MessageEvent) text() string { return redact.Text(e, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (e MessageEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (e MessageEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e RawEvent) text() string { return redact.Text(e, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (e RawEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (e RawEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e PublishEvent) text() string { return redact.Text(e, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (e PublishEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (e PublishEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e BadAuthTokenEvent) text() string { return redact.Text(e, "SignedAuthToken") }

// Format implements [fmt.Formatter]. It shows no token.
func (e BadAuthTokenEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (e BadAuthTokenEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (e AuthTokenSignedEvent) text() string { return redact.Text(e, "SignedAuthToken") }

// Format implements [fmt.Formatter]. It shows no token.
func (e AuthTokenSignedEvent) Format(f fmt.State, _ rune) { redact.Format(f, e.text()) }

// MarshalJSON implements json.Marshaler. It shows no token.
func (e AuthTokenSignedEvent) MarshalJSON() ([]byte, error) { return redact.JSON(e.text()) }

func (a Transmit) text() string { return redact.Text(a, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (a Transmit) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (a Transmit) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

func (a Invoke) text() string { return redact.Text(a, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (a Invoke) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (a Invoke) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

func (a Subscribe) text() string { return redact.Text(a, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (a Subscribe) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (a Subscribe) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

func (a PublishIn) text() string { return redact.Text(a, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (a PublishIn) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (a PublishIn) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

func (a PublishOut) text() string { return redact.Text(a, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (a PublishOut) Format(f fmt.State, _ rune) { redact.Format(f, a.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (a PublishOut) MarshalJSON() ([]byte, error) { return redact.JSON(a.text()) }

func (c *Call) text() string { return redact.Text(c, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (c *Call) Format(f fmt.State, _ rune) { redact.Format(f, c.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (c *Call) MarshalJSON() ([]byte, error) { return redact.JSON(c.text()) }

func (t *Transmission) text() string { return redact.Text(t, "Data") }

// Format implements [fmt.Formatter]. It shows no data.
func (t *Transmission) Format(f fmt.State, _ rune) { redact.Format(f, t.text()) }

// MarshalJSON implements json.Marshaler. It shows no data.
func (t *Transmission) MarshalJSON() ([]byte, error) { return redact.JSON(t.text()) }
