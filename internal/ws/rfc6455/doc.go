// Package rfc6455 holds what a WebSocket server has to do with what a client
// may send, as a table: each [Case] is a stream of frames and the answers to
// it, for a server that echoes messages. The expectations are read from RFC
// 6455 and, for compression, from RFC 7692; each case names the section.
//
// The cases are for tests: of package ws by way of [Echo], of the whole server,
// which answers with everything but the echoes, and, by way of [Messages], of
// other implementations on the client's side.
//
// Numbers. A case's number is its topic and its place in it: 1 lengths, masks
// and kinds of frames, 2 pings and pongs, 3 reserved bits, 4 reserved opcodes,
// 5 fragments, 6 UTF-8, 7 closing, 8 limits and sizes, 9 compression.
//
// Ordering. The answers come in the order of what they answer. A pong may come
// between the fragments of a message, before its echo.
//
// Ownership. The streams and payloads are shared and only to be read.
//
// Constants. [Limit], 1 MiB, and [Fragments], 4096, are what the cases expect a
// message to be held to.
package rfc6455
