// Package rfc6455 is a table of what a client may send to a WebSocket server,
// and how the server must react: each [Case] is a stream of frames and the
// replies to it, for a server that echoes messages. The expectations come from
// RFC 6455 and, for compression, from RFC 7692; each case names the section.
//
// The cases test package ws through [Echo], and the whole server, which sends
// all replies except the echoes. Through [Messages] they test other
// implementations on the client's side.
//
// Numbers. A case's number is its topic and its place in it: 1 lengths, masks
// and kinds of frames, 2 pings and pongs, 3 reserved bits, 4 reserved opcodes,
// 5 fragments, 6 UTF-8, 7 closing, 8 limits and sizes, 9 compression.
//
// Ordering. Replies come in the order of the frames to which they reply. A pong
// may come between the fragments of a message, before its echo.
//
// Ownership. The streams and payloads are shared and must not be changed.
//
// Constants. [Limit], 1 MiB, and [Fragments], 4096, are the limits of a message
// that the cases expect.
package rfc6455
