// Package recovery tests what clients do when the node that they are connected to is
// killed: in Chromium and in Go, with processes that are a cluster.
package recovery
