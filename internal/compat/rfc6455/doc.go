// Package rfc6455 holds tests of the framing, and of compression, with clients
// that others have written: the npm package ws, coder/websocket, the stock
// SocketCluster client and Chromium. What they send is the list of messages,
// pings and close codes of internal/ws/rfc6455; what the clients make of the
// answers is the second opinion on that table.
package rfc6455
