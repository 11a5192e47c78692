package recovery_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/browser"
	"github.com/socketcluster-go/socketcluster/internal/compat/npm"
	"github.com/socketcluster-go/socketcluster/internal/compat/proc"
	"github.com/socketcluster-go/socketcluster/internal/sctest"
)

// startCluster starts three contract servers that are a cluster.
func startCluster(t *testing.T) []*proc.Process {
	t.Helper()
	program, dir := proc.GoBuild(t, "./contract"), t.TempDir()
	var addrs []string
	for range 3 {
		addrs = append(addrs, sctest.FreeAddr(t))
	}
	nodes := make([]*proc.Process, len(addrs))
	var starts sync.WaitGroup
	for i, addr := range addrs {
		starts.Go(func() { // none of them is ready alone
			name := string(rune('a' + i))
			node, err := proc.Launch(t.Context(), proc.Binary(program,
				"PORT=0", "AUTH_KEY=the auth key of the compatibility tests", "PUBLISH_RATE=100000", "NODE_NAME="+name,
				"CLUSTER_LISTEN="+addr, "CLUSTER_ROUTES="+strings.Join(addrs, ","), "DATA_DIR="+filepath.Join(dir, name)))
			if err != nil {
				t.Error(err)
				return
			}
			nodes[i] = node
		})
	}
	starts.Wait()
	t.Cleanup(func() {
		for i, node := range nodes {
			if node == nil {
				continue
			}
			kill(t, node)
			if t.Failed() {
				t.Logf("node %d:\n%s", i, node.Logs())
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return nodes
}

// kill ends a process at once, as kill -9 does.
func kill(t *testing.T, node *proc.Process) {
	t.Helper()
	select {
	case <-node.Exited():
		return
	default:
	}
	if err := syscall.Kill(node.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-node.Exited()
}

// page has a stock client with the module for recovery and a client of this project.
const page = `<!DOCTYPE html>
<link rel="icon" href="data:,">
<p id="out"></p>
<script type="module">
import * as stock from '/stock.js';
import {recovery} from '/recovery.js';
import {create} from '/socketcluster.js';
const got = {stock: [], own: []}, lost = [], closed = {stock: 0, own: 0};
const show = () => {
	const text = name => name + ' ' + got[name].length + '/' + closed[name] + ';';
	document.getElementById('out').textContent = text('stock') + text('own');
};
const options = {autoReconnectOptions: {initialDelay: 20, randomness: 20, multiplier: 1}};
const sockets = {
	stock: stock.create({...options, codecEngine: recovery({onLost: (...args) => lost.push(args)})}),
	own: create(options),
};
const each = async (stream, fn) => {
	for await (const item of stream) {
		fn(item);
		show();
	}
};
for (const [name, socket] of Object.entries(sockets)) {
	const channel = socket.subscribe('history.a');
	each(channel, data => got[name].push(data));
	each(channel.listener('subscribe'), () => { closed[name]++; });
}
each(sockets.own.listener('lost'), report => lost.push(report));
window.result = () => ({...got, lost});
</script>`

// site serves a page, and lets clients through to the node that it is told.
type site struct {
	*httptest.Server
	node atomic.Pointer[proc.Process]
}

func startSite(t *testing.T) *site {
	t.Helper()
	s := new(site)
	mux := http.NewServeMux()
	mux.Handle(socketcluster.DefaultPath, &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: s.node.Load().Addr()})
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	mux.Handle("GET /socketcluster.js", browser.Handler())
	mux.Handle("GET /recovery.js", browser.RecoveryHandler())
	stock := filepath.Join(npm.Dir(t), "node_modules", "socketcluster-client", "socketcluster-client.min.js")
	mux.HandleFunc("GET /stock.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, stock) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}
