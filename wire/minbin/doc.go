// Package minbin is the codec of the npm package sc-codec-min-bin: messages in
// MessagePack, in which the most frequent packets have a short form.
//
//	srv, err := socketcluster.New(socketcluster.Config{Codec: minbin.Codec{}})
//
// Clients need the same codec: socketClusterClient.create({codecEngine:
// require('sc-codec-min-bin')}).
//
// # What becomes what
//
// A publication is the map {p: [channel, data, cid]}, any other call or
// transmission {e: [event, data, cid]}, and an answer {r: [rid, error, data]}.
// Elements at the end that a packet does not have are left out. A batch is an
// array of these maps. A missing value is nil, so no data and the JSON null
// become the same.
//
// Integers of up to 32 bits stay integers. Others become doubles, as in
// JavaScript, unless a double would change them: then they become 64-bit
// integers. The object {"base64":true,"data":"…"}, which represents bytes in
// JSON, becomes binary data, and binary data becomes that object. In
// JavaScript, binary data must be an ArrayBuffer: of a Buffer or Uint8Array the
// npm codec makes an object with a number for each byte.
//
// # What is refused
//
// Decode returns an error for a message that is truncated, has bytes after its
// end, is nested deeper than [wire.MaxDepth], contains text that is not valid
// UTF-8, keys that are not strings, or extension types, or has a short form
// with other elements than the above.
//
// # Concurrency, blocking and ownership
//
// A Codec has no state, and does not block. It keeps none of its arguments.
package minbin
