// Package rfc6455 tests the framing, and compression, with clients of others:
// the npm package ws, coder/websocket, the stock SocketCluster client and
// Chromium. They send the messages, pings and close codes of
// internal/ws/rfc6455; how they treat the answers is a second opinion on that
// table.
package rfc6455
