package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/socketcluster-go/socketcluster/metrics"
)

const metricsAddrSetting = "metrics-addr"

// opsHandler serves what operators and their machines ask for: /metrics for
// Prometheus, /healthz while the process works, and /readyz while it takes clients,
// which it does not any more once ctx has ended.
func (d *demo) opsHandler(ctx context.Context, log *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(d.sockets), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if d.node != nil {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "socketcluster_cluster_nodes", Help: "Nodes of the cluster that are alive, as this one sees it.",
		}, func() float64 { return float64(len(d.node.Nodes())) }))
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ctx.Err() != nil {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// serveOps serves opsHandler at an address of its own until stop is called. It does
// nothing without an address.
func (d *demo) serveOps(ctx context.Context, addr string, log *slog.Logger) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the setting %s: %w", metricsAddrSetting, err)
	}
	log.Info("serving metrics", slog.String("addr", listener.Addr().String()))
	server := &http.Server{Handler: d.opsHandler(ctx, log), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", slog.Any("error", err))
		}
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}
