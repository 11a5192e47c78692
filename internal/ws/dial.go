package ws

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"

	gws "github.com/gobwas/ws"
)

// DialOptions are the options of a connection that [Dial] opens.
type DialOptions struct {
	// In Options, Subprotocol is offered, and it is an error if the server does
	// not select it. Deflate offers permessage-deflate. Header is sent with the
	// request, except for the headers of the upgrade itself.
	Options

	// DialContext opens the connection to the server, or to the proxy. Default:
	// that of net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Proxy returns the proxy for a request, or nil, such as
	// http.ProxyFromEnvironment; the URL of the request begins with http or
	// https. An HTTP proxy gets a CONNECT request; a SOCKS proxy is an error.
	// Default: none.
	Proxy func(*http.Request) (*url.URL, error)
	// TLS is for URLs that begin with wss, and for proxies whose URL begins with
	// https. Default: that of crypto/tls.
	TLS *tls.Config
}

// Dial opens a connection to a URL that begins with ws or wss. Only ctx bounds
// the time. Once Dial has returned, ctx has no effect.
//
// If the status of the response is not 101, and so for a redirect too, the
// error is a *[Refusal] with the beginning of its text. Frames that are written
// to the connection must be masked by [Mask].
func Dial(ctx context.Context, rawURL string, o DialOptions) (*Conn, error) {
	r, err := o.request(rawURL)
	if err != nil {
		return nil, fmt.Errorf("ws: %w", err)
	}
	c, err := o.dial(ctx, r)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // says more than the error of the closed connection
	}
	if err != nil {
		return nil, fmt.Errorf("ws: dialing %s: %w", r.URL.Host, err)
	}
	return c, nil
}

// request returns the upgrade request for a URL.
func (o *DialOptions) request(rawURL string) (*http.Request, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme == "ws":
		u.Scheme = "http"
	case u.Scheme == "wss":
		u.Scheme = "https"
	default:
		return nil, fmt.Errorf("the URL begins with %q; it must begin with ws or wss", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("the URL has no host")
	}
	var key [16]byte
	rand.Read(key[:])
	r := &http.Request{Method: http.MethodGet, URL: u, Header: make(http.Header)}
	maps.Copy(r.Header, o.Header)
	r.Host = o.Header.Get("Host") // net/http does not take it from the header; "" means that of the URL
	if u.User != nil && r.Header.Get("Authorization") == "" {
		password, _ := u.User.Password()
		r.SetBasicAuth(u.User.Username(), password)
	}
	for name := range ownHeaders {
		delete(r.Header, name)
	}
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(key[:]))
	if o.Subprotocol != "" {
		r.Header.Set("Sec-WebSocket-Protocol", o.Subprotocol)
	}
	if o.Deflate {
		r.Header.Set("Sec-WebSocket-Extensions", deflateAnswer)
	}
	return r, nil
}

func (o *DialOptions) dial(ctx context.Context, r *http.Request) (*Conn, error) {
	var proxy *url.URL
	if o.Proxy != nil {
		var err error
		if proxy, err = o.Proxy(r); err != nil {
			return nil, err
		}
	}
	dial := o.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	to := r.URL
	if proxy != nil {
		to = proxy
	}
	raw, err := dial(ctx, "tcp", address(to))
	if err != nil {
		return nil, err
	}
	// The end of ctx makes the current step fail.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	c, err := o.open(raw, r, proxy)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return c, nil
}

// open makes a WebSocket connection over a connection to the server or a proxy.
func (o *DialOptions) open(nc net.Conn, r *http.Request, proxy *url.URL) (*Conn, error) {
	var err error
	if proxy != nil {
		if nc, err = o.tunnel(nc, r.URL, proxy); err != nil {
			return nil, fmt.Errorf("proxy %s: %w", proxy.Host, err)
		}
	}
	if r.URL.Scheme == "https" {
		host := r.URL.Hostname()
		if o.TLS != nil && o.TLS.ServerName != "" {
			host = o.TLS.ServerName
		}
		if nc, err = o.secure(nc, host); err != nil {
			return nil, err
		}
	}
	var request bytes.Buffer
	if err := r.Write(&request); err != nil {
		return nil, err
	}
	if _, err := nc.Write(request.Bytes()); err != nil {
		return nil, err
	}
	resp, ahead, err := readResponse(nc, r)
	if err != nil {
		return nil, err
	}
	deflate, err := o.accepted(r, resp)
	if err != nil {
		return nil, err
	}
	limitUnsent(nc)
	c := newConn(nc, ahead, o.Options)
	c.side = gws.StateClientSide
	c.deflate = deflate
	return c, nil
}

// tunnel makes a proxy connect to the host of a URL.
func (o *DialOptions) tunnel(nc net.Conn, to, proxy *url.URL) (net.Conn, error) {
	switch proxy.Scheme {
	case "http":
	case "https":
		var err error
		if nc, err = o.secure(nc, proxy.Hostname()); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("its URL begins with %q; only http and https are supported", proxy.Scheme)
	}
	addr := address(to)
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: make(http.Header)}
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		r.Header.Set("Proxy-Authorization", "Basic "+credentials)
	}
	if err := r.Write(nc); err != nil {
		return nil, err
	}
	resp, ahead, err := readResponse(nc, r)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answered with %s", resp.Status)
	case len(ahead) > 0:
		return nil, errors.New("it sent data before the request was made")
	}
	return nc, nil
}

// secure performs the TLS handshake with a host.
func (o *DialOptions) secure(nc net.Conn, host string) (net.Conn, error) {
	config := o.TLS.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	config.ServerName = host
	config.NextProtos = []string{"http/1.1"} // HTTP/2 has no such upgrade
	tc := tls.Client(nc, config)
	return tc, tc.Handshake()
}

// address returns the address to connect to for a URL.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}
