// Package metrics exports the figures of a server to Prometheus.
//
//	registry.MustRegister(metrics.NewCollector(srv))
//
// The figures are those of [socketcluster.ServerStats], read at each scrape. A
// scrape looks at every socket: a few milliseconds for 10,000.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/socketcluster-go/socketcluster"
)

// collector implements prometheus.Collector.
type collector struct{ srv *socketcluster.Server }

// NewCollector returns a collector of the figures of a server. Registering those of
// two servers needs a label of one's own, see [prometheus.WrapRegistererWith].
func NewCollector(srv *socketcluster.Server) prometheus.Collector { return collector{srv} }

// The figures. Names follow the conventions of Prometheus: base units, and _total
// for counters.
var (
	connections  = desc("connections", "Connections, by what they are: open, pending before the end of the handshake, or closing.", "state")
	accepted     = desc("connections_accepted_total", "Upgrade requests that have become connections.")
	refused      = desc("upgrades_refused_total", "Upgrade requests that were refused, except for limits.", "reason")
	messagesIn   = desc("messages_received_total", "Messages of clients, pongs included.")
	bytesIn      = desc("received_bytes_total", "Bytes that clients have sent as frames.")
	framesOut    = desc("frames_sent_total", "Frames that were written to clients.")
	bytesOut     = desc("sent_bytes_total", "Sizes of these frames before they were compressed.")
	publications = desc("publications_total", "Publications that the broker has delivered to this server.")
	deliveries   = desc("deliveries_total", "Deliveries of publications to subscribers on this server.")
	budgetUsed   = desc("budget_used_bytes", "Bytes that count against Limits.Budget.")
	budget       = desc("budget_bytes", "Limits.Budget.")
	limitHits    = desc("limit_hits_total", "How often a limit was reached, by the name of the setting.", "limit")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("socketcluster_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connections, accepted, refused, messagesIn, bytesIn, framesOut, bytesOut, publications, deliveries, budgetUsed, budget, limitHits} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	st := c.srv.Stats()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(connections, float64(st.Clients), "open")
	gauge(connections, float64(st.Pending), "pending")
	gauge(connections, float64(max(st.Connections-st.Clients-st.Pending, 0)), "closing") // read one after the other
	count(accepted, st.Accepted)
	count(refused, st.Refused.BadRequest, "bad request")
	count(refused, st.Refused.Closed, "server closed")
	count(refused, st.Refused.Middleware, "middleware")
	count(refused, st.Refused.Origin, "origin")
	count(messagesIn, st.MessagesIn)
	count(bytesIn, st.BytesIn)
	count(framesOut, st.FramesOut)
	count(bytesOut, st.BytesOut)
	count(publications, st.Publications)
	count(deliveries, st.Deliveries)
	gauge(budgetUsed, float64(st.BudgetUsed))
	gauge(budget, float64(st.Budget))
	for limit, n := range st.LimitHits {
		count(limitHits, n, limit)
	}
}
