// Package wire implements the SocketCluster message format: it decodes and
// encodes text messages. It knows nothing about connections, sockets or
// channels and starts no goroutine.
//
// # Decoding
//
// A [Decoder] takes one whole message and yields its packets. It validates the
// whole message before it yields the first packet, so a broken message never
// takes effect in part. The packets of a batch come in the order of the array;
// nested arrays are not expanded. A decoder keeps no copy of the message and
// allocates nothing in steady state; only broken JSON, escaped keys and numbers
// of more than 32 digits cost a few allocations.
//
// Everything that a stranger may send is classified, and nothing causes a
// panic: a message that is not a JSON object or array, an object that is not a
// packet, and an event whose name is not valid Unicode all become [KindRaw].
// Only the two [Limits] cause an error.
//
// A message that is not valid UTF-8 is one raw message, even if it would
// otherwise be JSON. Its bytes could not be forwarded in a text frame, and a
// publication must never make the connection of a subscriber fail.
//
// # Encoding
//
// The Append functions append exactly the text that the JavaScript server
// writes, including the order of keys, to the caller's buffer. Their data is
// raw JSON and is inserted as it is: it must be one valid JSON value in valid
// UTF-8, as [Marshal] and [Decoder] produce it. Data of length zero means that
// the key is absent, which is not the same as null.
//
// # Ownership
//
// The slices in a [Packet] alias the message given to [Decoder.Reset] or a
// buffer of the decoder; they are valid until the next call of Next or Reset,
// and no longer than the message itself. The slices that [ParsePublish],
// [ParseSubscribe] and [ParseHandshakeToken] return alias their argument where
// the comment of the function says so. Strings and errors are always copies. No
// function keeps or changes its arguments, except that the Append functions
// write beyond the end of dst.
//
// # Concurrency and blocking
//
// A Decoder belongs to one goroutine at a time. All functions are safe for
// concurrent use, and none of them blocks. An [Error] is immutable once it has
// been shared; [Error.With] makes a changed copy.
//
// # Units and constants
//
// Numbers are IEEE-754 doubles, written as in JavaScript. Times are ISO 8601 in
// UTC with milliseconds. Reasons of close frames are measured in bytes; their
// limit of 123 follows from RFC 6455, section 5.5: a control frame has at most
// 125 bytes, two of which are the code. Close codes 1000 to 1014 are those of
// RFC 6455, section 7.4.1, and its registry; 4000 to 4009 and all texts of
// close codes are SocketCluster's, as are the names of errors. The maximum
// nesting, [MaxDepth], is that of the JSON tokenizer.
package wire
