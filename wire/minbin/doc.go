// Package minbin is the codec of the npm package sc-codec-min-bin: messages in
// MessagePack, in which the packets that are sent most have a short form.
//
//	srv, err := socketcluster.New(socketcluster.Config{Codec: minbin.Codec{}})
//
// Clients need the same codec: socketClusterClient.create({codecEngine:
// require('sc-codec-min-bin')}).
//
// # What becomes what
//
// A publication is the map {p: [channel, data, cid]}, another call or
// transmission {e: [event, data, cid]}, and an answer {r: [rid, error, data]},
// the last elements left out where an answer cannot have them. A batch is
// an array of these. A value that is missing is nil, so that no data and the JSON
// null become the same.
//
// Integers of up to 32 bits stay integers, and others become doubles, as in
// JavaScript; those that a double would change are 64-bit integers. The object
// {"base64":true,"data":"…"}, which stands for bytes in JSON, becomes binary data
// and comes from it. In JavaScript that is an ArrayBuffer: the npm codec makes an
// object with a number for each byte of a Buffer or Uint8Array.
//
// # What is refused
//
// Messages of strangers are refused with an error if they are cut off, go on
// behind their end, are nested deeper than [wire.MaxDepth], hold text that is not
// valid UTF-8, keys that are no strings, or extension types, or have a short form
// with other elements than the above.
//
// # Concurrency, blocking and ownership
//
// A Codec has no state, and does not block. It keeps no slice that it was given.
package minbin
