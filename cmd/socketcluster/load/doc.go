// Package load is the load test that the command "socketcluster bench" runs
// against any SocketCluster server.
//
// # Latency
//
// The load is paced by rates. A latency counts from the moment when a message was
// due, not from when it was sent: a server that stalls delays all that was due
// meanwhile, and the figures show that. Latencies are kept in a histogram with
// three significant digits, from a microsecond to a minute.
//
// # Phases
//
// The clients connect, log in, and subscribe. Then calls and publications run at
// the same time for the duration. At last, in a storm, all clients lose their
// connections at once and come back.
package load
