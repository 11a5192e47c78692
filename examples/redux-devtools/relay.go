package main

import (
	"context"
	"encoding/json"
	"strings"
	"sync"

	"github.com/socketcluster-go/socketcluster"
)

// The channels. Applications publish on toMonitors and subscribe to toApps;
// monitors do the opposite. The names are also those of the events by which
// clients hand in what is to be published.
const (
	toMonitors = "log"
	toApps     = "respond"
	newReports = "report" // to monitors, from the server
)

// The other events of clients.
const (
	noID   = "log-noid" // like toMonitors, from an application that does not know its id
	oneApp = "sc-"      // and the id of an application: like toApps, for that one
)

// master is what applications log in with.
const master = "master"

// relay passes messages between applications and monitors.
type relay struct {
	srv     *socketcluster.Server
	reports *reports
	isApp   socketcluster.Key[bool] // of a socket that has logged in

	mu       sync.Mutex
	monitors int
}

// departure is the message about a socket that has gone.
type departure struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// identified is a message with the id that its sender did not know.
type identified struct {
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data"`
}

// directed is what is published on toApps. The subscribers get the message
// alone.
type directed struct {
	To      string          `json:"to,omitempty"` // the id of an application; empty for all
	Message json.RawMessage `json:"message"`
}

// newRelay registers everything that clients may do with srv.
func newRelay(srv *socketcluster.Server, kept *reports) {
	r := &relay{srv: srv, reports: kept}
	srv.Handle("login", socketcluster.Func(r.login))
	srv.Handle("getReport", socketcluster.Func(func(_ context.Context, id string) (json.RawMessage, error) {
		return kept.get(id), nil
	}))
	socketcluster.Use(srv, r.transmit)
	socketcluster.Use(srv, subscribe)
	socketcluster.Use(srv, func(context.Context, *socketcluster.PublishIn) error {
		return socketcluster.Errorf("PublishError", "Clients transmit what is to be published")
	})
	socketcluster.Use(srv, unpack)
	socketcluster.On(srv, r.subscribed)
	socketcluster.On(srv, r.disconnected)
}

// login answers with the channel that the client is to subscribe to. Everything
// but the word master comes from a monitor.
func (r *relay) login(ctx context.Context, credentials any) (string, error) {
	s := socketcluster.FromContext(ctx)
	isApp := credentials == master
	if _, again := r.isApp.Get(s); !again {
		r.isApp.Set(s, isApp)
		if !isApp {
			r.count(1)
		}
	}
	if isApp {
		return toApps, nil
	}
	return toMonitors, nil
}

// transmit publishes what a client hands in. It is middleware, as the names of
// events that begin with oneApp are not known before.
func (r *relay) transmit(ctx context.Context, a *socketcluster.Transmit) error {
	exchange := r.srv.Exchange()
	switch id, one := strings.CutPrefix(a.Receiver, oneApp); {
	case a.Receiver == toMonitors:
		return exchange.Publish(ctx, toMonitors, a.Data)
	case a.Receiver == noID:
		return exchange.Publish(ctx, toMonitors, identified{a.Socket.ID(), a.Data})
	case a.Receiver == toApps:
		return exchange.Publish(ctx, toApps, directed{Message: a.Data})
	case one && id != "":
		return exchange.Publish(ctx, toApps, directed{To: id, Message: a.Data})
	}
	return socketcluster.Errorf("TransmitError", "There is no such event")
}

// unpack is where messages leave for applications: for all of them, or for one.
func unpack(_ context.Context, a *socketcluster.PublishOut) error {
	if a.Channel != toApps {
		return nil
	}
	var d directed
	if err := json.Unmarshal(a.Data, &d); err != nil {
		return err
	}
	if d.To != "" && d.To != a.Socket.ID() {
		return socketcluster.Errorf("PublishError", "For another application")
	}
	a.Data = d.Message
	return nil
}

// subscribe allows the three channels.
func subscribe(_ context.Context, a *socketcluster.Subscribe) error {
	switch a.Channel {
	case toMonitors, toApps, newReports:
		return nil
	}
	return socketcluster.Errorf("SubscribeError", "There is no such channel")
}

// subscribed publishes the list of the reports when there is somebody new for
// them. It also asks a new application for its state if there is a monitor: the
// monitors have done so when the application announced itself, but perhaps
// before it had subscribed.
func (r *relay) subscribed(e socketcluster.SubscribeEvent) {
	ctx := context.Background()
	switch {
	case e.Channel == newReports:
		r.srv.Exchange().Publish(ctx, newReports, reportsMessage{"list", r.reports.list()})
	case e.Channel == toApps && r.count(0) > 0:
		r.srv.Exchange().Publish(ctx, toApps, directed{e.Socket.ID(), json.RawMessage(`{"type":"START"}`)})
	}
}

// disconnected tells the other side. Applications stop when the last monitor has
// gone.
func (r *relay) disconnected(e socketcluster.DisconnectEvent) {
	ctx := context.Background()
	isApp, ok := r.isApp.Get(e.Socket)
	message := departure{e.Socket.ID(), "DISCONNECTED"}
	switch {
	case !ok:
	case isApp:
		r.srv.Exchange().Publish(ctx, toMonitors, message)
	case r.count(-1) == 0:
		raw, _ := json.Marshal(message)
		r.srv.Exchange().Publish(ctx, toApps, directed{Message: raw})
	}
}

// count changes the number of monitors, and returns it.
func (r *relay) count(by int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.monitors += by
	return r.monitors
}
