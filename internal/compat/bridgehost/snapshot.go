package main

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/socketcluster-go/socketcluster"
)

// snapshots are the states of servers and sockets in a line.
type snapshots struct {
	Servers []serverSnapshot `json:"servers,omitempty"`
	Sockets []socketSnapshot `json:"sockets,omitempty"`
}

type serverSnapshot struct {
	Server            int      `json:"server"`
	IsReady           bool     `json:"isReady"`
	Clients           []string `json:"clients"`
	NumClients        int      `json:"clientsCount"`
	PendingClients    []string `json:"pendingClients"`
	NumPendingClients int      `json:"pendingClientsCount"`
}

type socketSnapshot struct {
	ID              string          `json:"id"`
	Server          int             `json:"server"`
	State           string          `json:"state"`
	AuthState       string          `json:"authState"`
	AuthToken       json.RawMessage `json:"authToken"`
	SignedAuthToken *string         `json:"signedAuthToken"`
	Channels        []string        `json:"channels"`
	ChannelCount    int             `json:"channelCount"`
	Request         *requestInfo    `json:"request,omitempty"` // in the first one only
}

type requestInfo struct {
	ID            int               `json:"id"`
	URL           string            `json:"url"`
	Method        string            `json:"method"`
	HTTPVersion   string            `json:"httpVersion"`
	Headers       map[string]string `json:"headers"`
	RemoteAddress string            `json:"remoteAddress"`
	RemoteFamily  string            `json:"remoteFamily"`
	RemotePort    int               `json:"remotePort"`
}

// snapshot describes a server. The output must be locked.
func (v *server) snapshot() serverSnapshot {
	ids := func(sockets func(func(*socketcluster.Socket) bool)) []string {
		names := []string{}
		for s := range sockets {
			names = append(names, s.ID())
		}
		return names
	}
	return serverSnapshot{
		Server:            v.number,
		IsReady:           v.ready.Load(),
		Clients:           ids(v.srv.Clients()),
		NumClients:        v.srv.NumClients(),
		PendingClients:    ids(v.srv.PendingClients()),
		NumPendingClients: v.srv.NumPendingClients(),
	}
}

// snapshot describes a socket. The output must be locked.
func (s *socket) snapshot() socketSnapshot {
	token := s.AuthToken() // once, as it may change meanwhile
	snap := socketSnapshot{
		ID:           s.ID(),
		Server:       s.server.number,
		State:        s.State().String(),
		AuthState:    socketcluster.Unauthenticated.String(),
		AuthToken:    claimsOf(token),
		Channels:     slices.AppendSeq([]string{}, s.Subscriptions()),
		ChannelCount: s.Stats().Subscriptions,
	}
	if token != nil {
		signed := token.Signed()
		snap.AuthState = socketcluster.Authenticated.String()
		snap.SignedAuthToken = &signed
	}
	if !s.introduced {
		s.introduced = true
		snap.Request = describeRequest(s.Request())
	}
	return snap
}

// with makes the snapshots of a socket and its server. Either may be nil.
func with(v *server, s *socket) (all snapshots) {
	if v != nil {
		all.Servers = []serverSnapshot{v.snapshot()}
	}
	if s != nil {
		all.Sockets = []socketSnapshot{s.snapshot()}
	}
	return all
}

// requestNumber is the context key for the number of a request, by which the
// bridge knows it.
type requestNumber struct{}

func describeRequest(r *http.Request) *requestInfo {
	info := &requestInfo{
		URL:          r.RequestURI,
		Method:       r.Method,
		HTTPVersion:  strings.TrimPrefix(r.Proto, "HTTP/"),
		Headers:      map[string]string{"host": r.Host},
		RemoteFamily: "IPv4",
	}
	info.ID, _ = r.Context().Value(requestNumber{}).(int)
	for name, values := range r.Header {
		info.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	if addr, err := net.ResolveTCPAddr("tcp", r.RemoteAddr); err == nil {
		info.RemoteAddress, info.RemotePort = addr.IP.String(), addr.Port
		if addr.IP.To4() == nil {
			info.RemoteFamily = "IPv6"
		}
	}
	return info
}
