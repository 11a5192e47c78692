package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/metrics"
	"github.com/socketcluster-go/socketcluster/metrics/clustermetrics"
)

const metricsAddrSetting = "metrics-addr"

// ops is what operators and their machines ask for: /metrics for Prometheus, /healthz
// while the process works, /readyz while it should get clients, and /cluster with what
// its node sees, as JSON.
type ops struct {
	ctx      context.Context // ends when the process is asked to stop
	log      *slog.Logger
	registry *prometheus.Registry
	storage  *storage    // nil without a node
	begun    atomic.Bool // the process takes clients, or is a witness

	revocations atomic.Pointer[cluster.Revocations] // nil: none
}

// newOps makes the ops of a process that has not begun. node is nil if there is none.
func newOps(ctx context.Context, node *cluster.Node, log *slog.Logger) *ops {
	p := &ops{ctx: ctx, log: log, registry: prometheus.NewRegistry()}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if node != nil {
		p.storage = &storage{node: node}
		p.registry.MustRegister(clustermetrics.NewCollector(node))
	}
	return p
}

// begin says that the process takes clients, or is a witness, which has no server.
func (p *ops) begin(srv *socketcluster.Server, revocations *cluster.Revocations) {
	if srv != nil {
		p.registry.MustRegister(metrics.NewCollector(srv))
	}
	if revocations != nil {
		p.storage.seen.Store(true) // they have been loaded from it
	}
	p.revocations.Store(revocations)
	p.begun.Store(true)
}

// ready returns why the process should get no clients, nil if it should.
func (p *ops) ready(ctx context.Context) error {
	rv := p.revocations.Load()
	switch {
	case p.ctx.Err() != nil:
		return errors.New("shutting down")
	case !p.begun.Load():
		if p.storage != nil {
			if err := p.storage.check(ctx); err != nil {
				return err
			}
		}
		return errors.New("starting")
	case rv != nil && rv.Current() != nil:
		return rv.Current()
	case p.storage != nil:
		return p.storage.check(ctx)
	}
	return nil
}

func (p *ops) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn)}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if p.storage != nil && p.storage.node.Closed() {
			http.Error(w, "the node has no connection to NATS any more", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := p.ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET "+clusterPath, func(w http.ResponseWriter, r *http.Request) {
		if p.storage == nil {
			http.Error(w, "the process is no node of a cluster", http.StatusNotFound)
			return
		}
		writeJSON(w, http.StatusOK, p.storage.node.Stats(r.Context()))
	})
	return mux
}

// serve serves at an address of its own until stop is called. It does nothing without
// an address.
func (p *ops) serve(addr string) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the setting %s: %w", metricsAddrSetting, err)
	}
	p.log.Info("serving metrics", slog.String("addr", listener.Addr().String()))
	server := &http.Server{Handler: p.handler(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("metrics are not served any more", slog.Any("error", err))
		}
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}
